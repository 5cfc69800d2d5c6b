// As much of CUDA as programs of brian2cuda use, on a processor: threads of a kernel run one after another, the last one
// first, so that nothing can rest on their order. New memory is filled with rubbish, as it may be on a GPU.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>
using namespace std;

#define __global__
#define __device__
#define __host__
#define __shared__
#define __launch_bounds__(...)
#define __syncthreads()
#define __threadfence()

struct dim3 { int x = 1, y = 1, z = 1; };
static dim3 threadIdx, blockIdx, blockDim, gridDim;
enum cudaError { cudaSuccess };
typedef cudaError cudaError_t;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaLimit { cudaLimitMallocHeapSize };
struct cudaDeviceProp {
    int multiProcessorCount = 4, maxThreadsPerBlock = 32, maxThreadsPerMultiProcessor = 64, warpSize = 32;
    size_t sharedMemPerBlock = 49152;
};
struct cudaFuncAttributes {
    int maxThreadsPerBlock = 32, numRegs = 0;
    size_t sharedSizeBytes = 0, localSizeBytes = 0, constSizeBytes = 0;
};

inline const char *cudaGetErrorString(cudaError) { return "no error"; }
inline cudaError cudaSetDevice(int) { return cudaSuccess; }
inline cudaError cudaGetDeviceProperties(cudaDeviceProp *found, int) { *found = cudaDeviceProp(); return cudaSuccess; }
inline cudaError cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
inline cudaError cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError cudaProfilerStop() { return cudaSuccess; }
inline cudaError cudaGetLastError() { return cudaSuccess; }
inline cudaError cudaMemGetInfo(size_t *available, size_t *all) { *available = *all = 1 << 30; return cudaSuccess; }
inline cudaError cudaFree(void *memory) { free(memory); return cudaSuccess; }
inline cudaError cudaMemset(void *to, int value, size_t bytes) { memset(to, value, bytes); return cudaSuccess; }
inline cudaError cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind) {
    memcpy(to, from, bytes);
    return cudaSuccess;
}
template <class T> cudaError cudaMalloc(T **memory, size_t bytes) {
    *memory = static_cast<T *>(malloc(bytes + 1));
    memset(static_cast<void *>(*memory), 0xCB, bytes);
    return cudaSuccess;
}
template <class T> cudaError cudaMemcpyToSymbol(T &symbol, const void *from, size_t bytes) {
    memcpy(&symbol, from, bytes);
    return cudaSuccess;
}
template <class Kernel> cudaError cudaOccupancyMaxPotentialBlockSize(int *blocks, int *threads, Kernel, size_t, int) {
    *blocks = 1;
    *threads = 32;
    return cudaSuccess;
}
template <class Kernel> cudaError cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Kernel, int, size_t) {
    *blocks = 2;
    return cudaSuccess;
}
template <class Kernel> cudaError cudaFuncGetAttributes(cudaFuncAttributes *found, Kernel) {
    *found = cudaFuncAttributes();
    return cudaSuccess;
}

template <class T> T atomicAdd(T *at, T value) { T old = *at; *at += value; return old; }
template <class T> T atomicCAS(T *at, T expected, T value) { T old = *at; if (old == expected) *at = value; return old; }
template <class To, class From> To same_bits(From value) { To to; memcpy(&to, &value, sizeof to); return to; }
inline unsigned long long __double_as_longlong(double value) { return same_bits<unsigned long long>(value); }
inline double __longlong_as_double(unsigned long long value) { return same_bits<double>(value); }
inline int __float_as_int(float value) { return same_bits<int>(value); }
inline float __int_as_float(int value) { return same_bits<float>(value); }

// What stands for kernel<<<blocks, threads>>>(...).
template <class Kernel> struct Launched {
    Kernel kernel;
    int blocks, threads;
    template <class... Arguments> void operator()(Arguments... arguments) {
        gridDim.x = blocks;
        blockDim.x = threads;
        for (blockIdx.x = blocks - 1; blockIdx.x >= 0; blockIdx.x--)
            for (threadIdx.x = threads - 1; threadIdx.x >= 0; threadIdx.x--) kernel(arguments...);
    }
};
template <class Kernel> Launched<Kernel> launched(Kernel kernel, int blocks, int threads, size_t = 0) {
    if (blocks <= 0 || threads <= 0) {
        printf("ERROR: a kernel of %d x %d threads\n", blocks, threads);
        exit(1);
    }
    return {kernel, blocks, threads};
}
