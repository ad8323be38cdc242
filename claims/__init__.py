"""The paper's claims. A claim's statement and rule stand in `catalogue.toml`, the paper's curves in `curves.toml`.

Its test (`test_F2_...`) says which networks and probes it needs and measures the effects that the rule names, each from
the tables of one seed after another. The verdict is drawn from the intervals of these effects by
`harness.judging.verdict.judge`: that is the line that decides.
"""
