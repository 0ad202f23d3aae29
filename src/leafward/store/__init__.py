"""What must last: paths, the lock, slots of keys and chains, and the databases.

`home`, `lock` and `slots` import nothing slow; only `database`, `registry` and `messages` load SQLAlchemy.
"""
