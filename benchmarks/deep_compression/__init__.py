"""The experiments of Deep Compression (Han et al. 2016) and dense-sparse-dense (Han et al. 2017) on two LeNets."""
