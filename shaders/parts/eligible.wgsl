// Part: which of a scan's queries may find the rows of a block of 32.

struct EligibleWords {
  each : array<u32, QB>, // one bitmap word for each query in registers; 0 beyond the last
  any : u32,              // 0: the whole block is skipped, by all lanes together
}

fn eligible_words(firstQuery : u32, row : u32) -> EligibleWords {
  let word = (params.shardRow + row) >> 5u;
  var words : EligibleWords;
  for (var q = 0u; q < QB; q++) { // unroll
    if (firstQuery + q < params.queries) {
      words.each[q] = eligible[queryParams[firstQuery + q].eligibility * params.words + word];
      words.any |= words.each[q];
    }
  }
  return words;
}

fn is_eligible(words : EligibleWords, q : u32, row : u32) -> bool {
  return ((words.each[q] >> (row & 31u)) & 1u) == 1u;
}
