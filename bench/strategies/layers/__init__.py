"""What adaptations build into networks. The only files of this folder that import torch; nobody asks for them before a
network is there."""
