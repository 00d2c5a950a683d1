  int success(array[] int y) {
    return sum(y);
  }
