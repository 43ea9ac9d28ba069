"""The Kubernetes node offers GPUs.

A node's GPUs become `nvidia.com/gpu` by NVIDIA's device plugin, a pod that must reach NVML itself: through the runtime
of the toolkit, or CDI. Where it cannot, it finds no devices and waits, the node offers none, and pods that ask for one
stay pending with `Insufficient nvidia.com/gpu`. All GPUs being taken gives the same words: `kubectl describe node`
shows which of both it is. On the node itself the checks of the driver, the toolkit and CDI tell why.
"""

from __future__ import annotations

MENDED_BY = (
    "on the node, mend what gpudoctor check finds of driver, toolkit and CDI; give the plugin the runtime class nvidia;"
    " restart the plugin's pod"
)
DECIDED_BY = (
    "kubectl describe node NODE | grep nvidia.com/gpu; kubectl logs -n NAMESPACE POD-OF-THE-DEVICE-PLUGIN;"
    " on the node: gpudoctor check"
)
LINKS = (
    "https://github.com/NVIDIA/k8s-device-plugin#quick-start",
    "https://github.com/NVIDIA/k8s-device-plugin/issues/207",
    "https://github.com/kaito-project/kaito/issues/2326",
)
SYMPTOMS = (
    r"Insufficient nvidia\.com/gpu",
    r"No devices found\. Waiting indefinitely",
    r"nvidia\.com/gpu: +0\b",
    r"Incompatible (?:platform|strategy) detected",
    r"If this is a GPU node, did you configure the NVIDIA Container Toolkit\?",
    r"UnexpectedAdmissionError.*nvidia\.com/gpu",
)
