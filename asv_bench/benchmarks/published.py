"""Published negative log-likelihoods of test splits, nats per row: the best that we know of, and some neural ones.

On the binary tables of 16 to 889 columns, in their usual splits:

- CM-CLT: Correia, Gala, Quaeghebeur, de Campos, Peharz, Continuous mixtures of tractable probabilistic models, AAAI
  2023.
- EXPC, XCNet40: Di Mauro, Gala, Iannotta, Basile, Random probabilistic circuits, UAI 2021.
- HCLT: Liu, Van den Broeck, Tractable regularization of probabilistic circuits, NeurIPS 2021.
- ID-SPN, WinMine: Rooshenas, Lowd, Learning sum-product networks with direct and indirect variable interactions, ICML
  2014.
- MADE: Germain, Gregor, Murray, Larochelle, MADE: masked autoencoder for distribution estimation, ICML 2015.
- MoAT: Selvam, Zhang, Van den Broeck, Mixtures of all trees, AISTATS 2023.

On binary MNIST, each pixel drawn once from its grey value. mnist_static is another such draw than the published one, so
its figures differ by chance, too:

- MADE, and from the same paper EoNADE (Uria, Murray, Larochelle, A deep and tractable density estimator, ICML 2014) and
  NADE (Larochelle, Murray, The neural autoregressive distribution estimator, AISTATS 2011).
- EiNet, the best circuit, which answers marginals exactly: Peharz and others, Einsum networks: fast and scalable
  learning of tractable probabilistic circuits, ICML 2020.

MADE's 11.90 on connect-4 is of the usual split, which connect4_20k is not, and cannot be compared.
"""

NLL = {
    "nltcs": {"HCLT, CM-CLT": 5.99},
    "msnbc": {"ID-SPN": 6.04},
    "kdd": {"CM-CLT, EXPC": 2.12},
    "plants": {"XCNet40": 11.99},
    "baudio": {"CM-CLT": 39.02},
    "accidents": {"WinMine": 26.32},
    "dna": {"HCLT": 79.05, "MADE": 79.66},
    "kosarek": {"CM-CLT": 10.56},
    "book": {"MoAT": 33.46},
    "cr52": {"CM-CLT": 81.17},
    "mnist_static": {"EoNADE": 85.10, "MADE": 86.64, "NADE": 88.33, "EiNet": 99.82},
}
