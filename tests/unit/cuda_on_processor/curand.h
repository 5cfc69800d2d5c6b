// Stands in for cuRAND in programs that draw no random numbers.
#ifndef CURAND_H_
#define CURAND_H_
enum curandStatus_t {
    CURAND_STATUS_SUCCESS, CURAND_STATUS_VERSION_MISMATCH, CURAND_STATUS_NOT_INITIALIZED,
    CURAND_STATUS_ALLOCATION_FAILED, CURAND_STATUS_TYPE_ERROR, CURAND_STATUS_OUT_OF_RANGE,
    CURAND_STATUS_LENGTH_NOT_MULTIPLE, CURAND_STATUS_DOUBLE_PRECISION_REQUIRED, CURAND_STATUS_LAUNCH_FAILURE,
    CURAND_STATUS_PREEXISTING_FAILURE, CURAND_STATUS_INITIALIZATION_FAILED, CURAND_STATUS_ARCH_MISMATCH,
    CURAND_STATUS_INTERNAL_ERROR
};
enum curandRngType_t { CURAND_RNG_PSEUDO_DEFAULT };
typedef void *curandGenerator_t;
struct curandState {};
template <class... Arguments> curandStatus_t curandNothing(Arguments...) { return CURAND_STATUS_SUCCESS; }
#define curandCreateGenerator curandNothing
#define curandDestroyGenerator curandNothing
#define curandSetPseudoRandomGeneratorSeed curandNothing
#define curandSetGeneratorOffset curandNothing
#define curandGenerateUniform curandNothing
#define curandGenerateUniformDouble curandNothing
#define curandGenerateNormal curandNothing
#define curandGenerateNormalDouble curandNothing
#define curandGeneratePoisson curandNothing
#define curand_init curandNothing
#endif
