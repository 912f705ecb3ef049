"""The soak: the whole product on real services, with everything that can die dying at random.

- `plan`: what is to happen, from one seed; `soak`: one run of it; `report`: its result
- `world`: the product and its `services`; `supervisor`: starts again what died; `instruments`: what
  is added to the database
- `faults`: what goes wrong; `clients`: the users
- `evidence`: what was seen; `invariants`: what must hold all the same; `causes`: of extra runs;
  `recovery`: how long it took
- `sabotage`: the product without one of its rules, which the invariants must notice
"""
