/* exp, log and log1p by + - * / and moves of bits alone: the same bits on every processor, where those of a C library are
 * not. Within one unit in the last place. The reductions and polynomials are those of FreeBSD's msun (Sun Microsystems'
 * fdlibm). Compile without contraction: a fused product rounds differently. */
#ifndef TREEFLOWS_ELEMENTARY_H
#define TREEFLOWS_ELEMENTARY_H

#include <stdint.h>
#include <string.h>

#define TF_LN2_HIGH 6.93147180369123816490e-01 /* its low 20 bits are zero: times an exponent it is exact */
#define TF_LN2_LOW 1.90821492927058770002e-10

static inline uint64_t tf_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double tf_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline double tf_infinity(void)
{
    return tf_double(0x7ff0000000000000u);
}

/* 2^n for -1022 <= n <= 1023 */
static inline double tf_power_of_two(int n)
{
    return tf_double((uint64_t)(n + 1023) << 52);
}

/* x = 2^k m with m from sqrt(1/2) to sqrt(2), of a normal x > 0; returns k */
static inline int tf_split(double x, double *m)
{
    const uint64_t bits = tf_bits(x) + (0x3ff0000000000000u - 0x3fe6a09e00000000u);
    *m = tf_double((bits & 0x000fffffffffffffu) + 0x3fe6a09e00000000u);
    return (int)(bits >> 52) - 1023;
}

/* k log 2 + log(1 + f) + c for a small c */
static inline double tf_log_of(int k, double f, double c)
{
    const double s = f / (2.0 + f), z = s * s, w = z * z, half_square = 0.5 * f * f;
    const double even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    const double odd = z * (6.666666666666735130e-01 +
                            w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    return ((s * (half_square + (odd + even)) + (k * TF_LN2_LOW + c)) - half_square) + f + k * TF_LN2_HIGH;
}

static inline double tf_log(double x)
{
    double m;
    int k = 0;
    if (!(x > 0.0))
        return x == 0.0 ? -tf_infinity() : tf_double(0x7ff8000000000000u);
    if (x == tf_infinity())
        return x;
    if (x < 2.2250738585072014e-308) {
        x *= 18014398509481984.0; /* 2^54: subnormal numbers become normal */
        k = -54;
    }
    k += tf_split(x, &m);
    return tf_log_of(k, m - 1.0, 0.0);
}

/* the same of many numbers, a vector at a time where they are all normal and above zero */
static inline void tf_log_all(const double *x, double *out, int64_t n)
{
    for (int64_t first = 0; first < n; first += 64) {
        const int64_t end = first + 64 < n ? first + 64 : n;
        int normal = 1;
        for (int64_t i = first; i < end; i++)
            normal &= (x[i] >= 2.2250738585072014e-308) & (x[i] < tf_infinity());
        if (normal)
            for (int64_t i = first; i < end; i++) {
                double m;
                const int k = tf_split(x[i], &m);
                out[i] = tf_log_of(k, m - 1.0, 0.0);
            }
        else
            for (int64_t i = first; i < end; i++)
                out[i] = tf_log(x[i]);
    }
}

static inline double tf_log1p(double x)
{
    double m;
    if (!(x > -1.0))
        return x == -1.0 ? -tf_infinity() : tf_double(0x7ff8000000000000u);
    if (x == tf_infinity())
        return x;
    if (x < 1.1102230246251565e-16 && x > -1.1102230246251565e-16)
        return x;
    const double u = 1.0 + x;
    const int k = tf_split(u, &m);
    if (k == 0)
        return tf_log_of(0, x, 0.0);
    /* what 1 + x lost to rounding */
    return tf_log_of(k, m - 1.0, (k >= 2 ? 1.0 - (u - x) : x - (u - 1.0)) / u);
}

/* y of e^x = 2^n y, for x between -746 and 710 */
static inline double tf_exp_of(double x, double *n)
{
    const double shift = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to an integer */
    const double whole = (x * 1.44269504088896338700 + shift) - shift;
    const double high = x - whole * TF_LN2_HIGH, low = whole * TF_LN2_LOW, r = high - low, z = r * r;
    const double c =
        r - z * (1.66666666666666019037e-01 +
                 z * (-2.77777777770155933842e-03 +
                      z * (6.61375632143793436117e-05 + z * (-1.65339022054652515390e-06 + z * 4.13813679705723846039e-08))));
    *n = whole;
    return 1.0 + ((r * c / (2.0 - c) - low) + high);
}

static inline double tf_exp(double x)
{
    double n;
    if (x != x)
        return x;
    if (x > 710.0)
        return tf_infinity();
    if (x < -746.0)
        return 0.0;
    const double y = tf_exp_of(x, &n);
    const int k = (int)n, half = k / 2; /* in two steps, of which the first is exact: the result may be subnormal */
    return y * tf_power_of_two(half) * tf_power_of_two(k - half);
}

/* What a standard normal number has beyond a >= 0, over its density there (Mills' ratio). Times 1 + a it is a polynomial
 * of (a - 5) / (a + 5), within two units in the last place everywhere (Shepherd and Laframboise 1981, for erfc). */
static inline double tf_mills(double a)
{
    const double t = (a - 5.0) / (a + 5.0);
    double p = -9.56483293471255131e-10;
    p = p * t - 7.07389857556158854e-10; p = p * t + 1.10320711515743359e-08;
    p = p * t + 9.09247613401914688e-09; p = p * t - 7.75852023678634256e-08;
    p = p * t - 6.58897449110895368e-08; p = p * t + 4.91996233147834042e-07;
    p = p * t + 3.20543166525895738e-07; p = p * t - 3.27728763320886507e-06;
    p = p * t - 1.76332392657367460e-07; p = p * t + 2.27096127092376813e-05;
    p = p * t - 2.48058384519231901e-05; p = p * t - 1.34374278557113504e-04;
    p = p * t + 4.57043923579536547e-04; p = p * t + 1.95306383707907865e-05;
    p = p * t - 4.20129032918730664e-03; p = p * t + 1.63482312810293816e-02;
    p = p * t - 3.80265921858413888e-02; p = p * t + 6.15050458401864980e-02;
    p = p * t - 6.61776007790963045e-02; p = p * t + 2.50721793016388007e-02;
    p = p * t + 7.77815988687376864e-02; p = p * t - 2.29487538252113155e-01;
    p = p * t + 1.15684862829189461e+00;
    return p / (1.0 + a);
}

#endif
