// What the command line needs of Stan's math library. The headers of stan/services include all of
// it, which takes a compiler longer to read than everything else here; the guards below keep out
// what is not listed. This header comes before any other of Stan.
#ifndef COMMAND_LINE_MATH_HPP
#define COMMAND_LINE_MATH_HPP

#define STAN_MATH_HPP
#define STAN_MATH_MIX_HPP
#define STAN_MATH_REV_HPP
#define STAN_MATH_PRIM_HPP
#ifndef COMMAND_LINE_DEFINES_AUTODIFF  // autodiff.cpp sets up the memory for all
#define STAN_MATH_REV_CORE_INIT_CHAINABLESTACK_HPP
#endif

#include <stan/math/prim/fun/Eigen.hpp>
#include <stan/math/rev/core.hpp>

#include <stan/math/prim/core.hpp>
#include <stan/math/prim/fun.hpp>
#include <stan/math/prim/functor.hpp>
#include <stan/math/prim/prob/normal_rng.hpp>
#include <stan/math/prim/prob/std_normal_rng.hpp>
#include <stan/math/rev/fun/grad.hpp>
#include <stan/math/rev/functor/finite_diff_hessian_auto.hpp>
#include <stan/math/rev/functor/gradient.hpp>

#include <tbb/parallel_for.h>

#endif
