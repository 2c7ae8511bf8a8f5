# Evaluating, judging and training in a container; on a CPU unless told otherwise.
#
#   docker build -t anchored-explanations .
#   docker run --rm -v "$PWD:/data" anchored-explanations anchor-eval --help
#
# With CUDA (PyTorch's default build for Linux is for CUDA, so no index is named for it):
#
#   docker build -t anchored-explanations:cuda --build-arg BASE=nvidia/cuda:12.9.1-runtime-ubuntu24.04 \
#       --build-arg EXTRAS=vllm,train --build-arg TORCH_INDEX= .
#   docker run --rm --gpus all -v "$PWD:/data" anchored-explanations:cuda anchor-eval doctor
ARG BASE=python:3.11-slim
FROM ${BASE}
ARG EXTRAS=hf,train
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# CUDA's images come without Python.
RUN command -v python3 >/dev/null || \
    (apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*)
# PyTorch and vLLM compile some kernels when they first run.
RUN command -v gcc >/dev/null || \
    (apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*)
RUN python3 -m venv /venv
ENV PATH=/venv/bin:$PATH

WORKDIR /source
COPY pyproject.toml MANIFEST.in constraints.txt README.md LICENSE ./
COPY judges judges
COPY lm_eval_tasks lm_eval_tasks
COPY anchor_train anchor_train
RUN pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}} ".[${EXTRAS}]"

# Whoever runs it writes here: runs, and below .cache replies that are kept and models of the hub. PyTorch asks for
# the user's name, which --user with a number hasn't.
RUN mkdir /data && chmod 777 /data
ENV HOME=/data USER=anchor
USER 1000:1000
WORKDIR /data
CMD ["anchor-eval", "--help"]
