// Says where it is evaluated, and refuses some places: in the model and in what it generates. Takes
// the time of a part.
parameters {
  real mu;
}
model {
  print("at ", mu);
  if (mu > 1.5) {
    reject("mu must stay below 1.5, not ", mu);
  }
  profile("prior") {
    mu ~ std_normal();
  }
}
generated quantities {
  print("drawn ", mu);
  if (mu < 0) {
    reject("no root of ", mu);
  }
  real root = sqrt(mu);
}
