/* One instruction set of levels.h: its registers, then everything of KERNEL. */
typedef float vec __attribute__((vector_size(VEC_FLOATS * 4), may_alias));
typedef int32_t ints __attribute__((vector_size(VEC_FLOATS * 4), may_alias));
#include KERNEL
#undef VEC_FLOATS
#undef TARGET
#undef NAME
