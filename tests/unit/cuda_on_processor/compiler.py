"""Takes the place of nvcc: compiles a CUDA program of brian2cuda with g++, to run on a processor.

The starts of kernels are the one thing that C++ has no words for; they are rewritten. All the rest is in
`cuda_on_processor.h`, and in Thrust, which has a version for processors and comes with the CUDA toolkit.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
START = re.compile(r"(\w+)\s*<<<(.*?)>>>", flags=re.DOTALL)


def main(arguments, thrust):
    """Answer as nvcc does, or compile the file that ends in .cuh in the current folder."""
    if "--version" in arguments:
        print("Cuda compilation tools, release 13.0, V13.0.1")
    elif "-dryrun" in arguments:
        print("#$ _HERE_=/usr/local/cuda/bin")
    elif "--list-gpu-code" in arguments:
        print("sm_90")
    else:
        for path in [*Path().rglob("*.cu"), *Path().rglob("*.h")]:
            text = path.read_text()
            path.write_text(START.sub(r"launched(\1, \2)", text))
        (unity,) = Path().glob("*.cuh")
        # Headers are read as on a processor; the code of Brian2 is told that it is on a GPU.
        text = unity.read_text().replace("namespace unit_0 {", "#define __CUDA_ARCH__ 900\nnamespace unit_0 {", 1)
        Path("processor.cc").write_text('#include "cuda_on_processor.h"\n' + text)
        for name in ("cuda.h", "cuda_runtime.h", "cuda_profiler_api.h", "curand_kernel.h"):
            Path(name).write_text('#include "curand.h"\n')
        systems = [f"-DTHRUST_{side}_SYSTEM=THRUST_{side}_SYSTEM_CPP" for side in ("HOST", "DEVICE")]
        flags = ["-std=c++17", "-O0", "-w", "-ffp-contract=off", "-DCCCL_DISABLE_CTK_COMPATIBILITY_CHECK", *systems]
        command = ["g++", *flags, "-I.", f"-I{HERE}", f"-I{thrust}", "processor.cc", "-o", "main"]
        sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main(sys.argv[2:], Path(sys.argv[1]))
