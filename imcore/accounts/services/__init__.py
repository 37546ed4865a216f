"""What users may do, and what may be done to them: async, in the words of the domain.

    registering.py   sign-up, and log-in by an account elsewhere
    logging_in.py    log-in by password
    sessions.py      session tokens: made, renewed, and whose one is (`user_of`)
    managing.py      reading, changing and deleting users
    signing.py       from a session here to a log-in to messaging
    profiles.py      what a request makes of a user's columns
    passwords.py     hashing, off the loop

May import `storage`, `models`, `errors` and the kernel.
"""
