// Only generated quantities, with a function that C++ code supplies.
functions {
  int faces(int extra);
}
data {
  int<lower=1> N;
}
generated quantities {
  array[N] int roll;
  for (n in 1 : N) {
    roll[n] = discrete_range_rng(1, faces(2));
  }
}
