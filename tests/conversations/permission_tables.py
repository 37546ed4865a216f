"""What each standing may do, in each kind of conversation: the tables of test_permission_matrix.py.

Written from realtime-protocol 4.3 to 4.8, 4.13 to 4.15 and limits-settings-conflicts 4, not computed from the policy.
Each line is

    command [target] [? conditions] = an answer for each actor of the table's head

Answers: `ok`; a number: refused with this code, in an `error` or, for a send, in the `ack`; `F` and a number: an
answer whose `failedPids` have this code; `true` and `false`: what `is_member` says. Conditions name features that are
on, or off after a `!`.
"""

from conversations.policy import Kind

NORMAL = """
actor                                    = outsider blocked member silenced manager owner
join                                     = ok       F4548   ok     ok       ok      ok
leave                     ? roles        = ok       ok      ok     ok       ok      F4324
leave                     ? !roles       = ok       ok      ok     ok       ok      ok
invite outsider                          = 4317     4317    ok     ok       ok      ok
invite member                            = 4317     4317    ok     ok       ok      ok
invite blocked                           = 4317     4317    F4548  F4548    F4548   F4548
remove outsider           ? roles        = 4317     4317    4320   4320     ok      ok
remove blocked            ? roles        = 4317     4317    4320   4320     ok      ok
remove member             ? roles        = 4317     4317    4320   4320     ok      ok
remove silenced           ? roles        = 4317     4317    4320   4320     ok      ok
remove manager            ? roles        = 4317     4317    4320   4320     F4320   ok
remove owner              ? roles        = 4317     4317    4320   4320     F4324   F4324
remove outsider           ? !roles       = 4317     4317    ok     ok       ok      ok
remove blocked            ? !roles       = 4317     4317    ok     ok       ok      ok
remove member             ? !roles       = 4317     4317    ok     ok       ok      ok
remove silenced           ? !roles       = 4317     4317    ok     ok       ok      ok
remove manager            ? !roles       = 4317     4317    ok     ok       ok      ok
remove owner              ? !roles       = 4317     4317    ok     ok       ok      ok
promote member            ? !roles       = 4325     4325    4325   4325     4325    4325
demote manager            ? !roles       = 4325     4325    4325   4325     4325    4325
promote self              ? roles        = 4317     4317    4320   4320     4320    4320
promote outsider          ? roles !delegated = 4317 4317    4320   4320     4320    4317
promote blocked           ? roles !delegated = 4317 4317    4320   4320     4320    4317
promote member            ? roles !delegated = 4317 4317    4320   4320     4320    ok
promote silenced          ? roles !delegated = 4317 4317    4320   4320     4320    ok
promote manager           ? roles !delegated = 4317 4317    4320   4320     4320    ok
promote owner             ? roles !delegated = 4317 4317    4320   4320     4320    4320
demote manager            ? roles !delegated = 4317 4317    4320   4320     4320    ok
demote owner              ? roles !delegated = 4317 4317    4320   4320     4320    4320
promote outsider          ? roles delegated  = 4317 4317    4320   4320     4317    4317
promote blocked           ? roles delegated  = 4317 4317    4320   4320     4317    4317
promote member            ? roles delegated  = 4317 4317    4320   4320     ok      ok
promote silenced          ? roles delegated  = 4317 4317    4320   4320     ok      ok
promote manager           ? roles delegated  = 4317 4317    4320   4320     4320    ok
promote owner             ? roles delegated  = 4317 4317    4320   4320     4320    4320
demote manager            ? roles delegated  = 4317 4317    4320   4320     4320    ok
demote owner              ? roles delegated  = 4317 4317    4320   4320     4320    4320
enthrone member           ? roles        = 4317     4317    4320   4320     4320    4320
silence member            ? !roles       = 4325     4325    4325   4325     4325    4325
unsilence silenced        ? !roles       = 4325     4325    4325   4325     4325    4325
silence self              ? roles        = 4317     4317    4320   4320     4320    4320
silence outsider          ? roles        = 4317     4317    4320   4320     4317    4317
silence blocked           ? roles        = 4317     4317    4320   4320     4317    4317
silence member            ? roles        = 4317     4317    4320   4320     ok      ok
silence silenced          ? roles        = 4317     4317    4320   4320     ok      ok
silence manager           ? roles        = 4317     4317    4320   4320     4320    ok
silence owner             ? roles        = 4317     4317    4320   4320     4320    4320
unsilence self            ? roles        = 4317     4317    4320   4320     4320    4320
unsilence member          ? roles        = 4317     4317    4320   4320     ok      ok
unsilence silenced        ? roles        = 4317     4317    4320   4320     ok      ok
unsilence manager         ? roles        = 4317     4317    4320   4320     4320    ok
unsilence owner           ? roles        = 4317     4317    4320   4320     4320    4320
list_silenced                            = 4317     4317    ok     ok       ok      ok
check_silenced silenced                  = 4317     4317    ok     ok       ok      ok
block member              ? !blocks      = 4544     4544    4544   4544     4544    4544
unblock blocked           ? !blocks      = 4544     4544    4544   4544     4544    4544
list_blocked              ? !blocks      = 4544     4544    4544   4544     4544    4544
check_blocked blocked     ? !blocks      = 4544     4544    4544   4544     4544    4544
block self                ? blocks       = 4317     4317    4320   4320     4320    4320
unblock self              ? blocks       = 4317     4317    4320   4320     4320    4320
block outsider            ? blocks roles = 4317     4317    4320   4320     ok      ok
block blocked             ? blocks roles = 4317     4317    4320   4320     ok      ok
block member              ? blocks roles = 4317     4317    4320   4320     ok      ok
block silenced            ? blocks roles = 4317     4317    4320   4320     ok      ok
block manager             ? blocks roles = 4317     4317    4320   4320     4320    ok
block owner               ? blocks roles = 4317     4317    4320   4320     4320    4320
unblock member            ? blocks roles = 4317     4317    4320   4320     ok      ok
unblock blocked           ? blocks roles = 4317     4317    4320   4320     ok      ok
block outsider            ? blocks !roles = 4317    4317    4320   4320     4320    ok
block blocked             ? blocks !roles = 4317    4317    4320   4320     4320    ok
block member              ? blocks !roles = 4317    4317    4320   4320     4320    ok
block silenced            ? blocks !roles = 4317    4317    4320   4320     4320    ok
block manager             ? blocks !roles = 4317    4317    4320   4320     4320    ok
block owner               ? blocks !roles = 4317    4317    4320   4320     4320    4320
unblock blocked           ? blocks !roles = 4317    4317    4320   4320     4320    ok
list_blocked              ? blocks roles = 4317     4317    4320   4320     ok      ok
check_blocked blocked     ? blocks roles = 4317     4317    4320   4320     ok      ok
list_blocked              ? blocks !roles = 4317    4317    4320   4320     4320    ok
check_blocked blocked     ? blocks !roles = 4317    4317    4320   4320     4320    ok
update                                   = 4309     4309    ok     ok       ok      ok
mute                                     = 4317     4317    ok     ok       ok      ok
unmute                                   = 4317     4317    ok     ok       ok      ok
send                                     = 4401     4401    ok     4563     ok      ok
history                                  = 4312     4312    ok     ok       ok      ok
max_read                                 = 4312     4312    ok     ok       ok      ok
is_member                                = false    false   true   true     true    true
count                                    = ok       ok      ok     ok       ok      ok
"""

# Members are those who are in the room now; its creator owns it wherever he is.
CHAT_ROOM = """
actor                                    = outsider blocked member silenced owner
join                                     = ok       F4548   ok     ok       ok
leave                                    = ok       ok      ok     ok       ok
invite outsider                          = F4308    F4308   F4308  F4308    F4308
invite blocked                           = F4308    F4308   F4308  F4308    F4308
remove outsider                          = F4308    F4308   F4308  F4308    F4308
remove member                            = F4308    F4308   F4308  F4308    F4308
remove owner                             = F4308    F4308   F4308  F4308    ok
promote member                           = 4308     4308    4308   4308     4308
demote member                            = 4308     4308    4308   4308     4308
enthrone member                          = 4308     4308    4308   4308     4308
silence member            ? !roles       = 4325     4325    4325   4325     4325
unsilence silenced        ? !roles       = 4325     4325    4325   4325     4325
silence self              ? roles        = 4317     4317    4320   4320     4320
silence outsider          ? roles        = 4317     4317    4320   4320     ok
silence blocked           ? roles        = 4317     4317    4320   4320     ok
silence member            ? roles        = 4317     4317    4320   4320     ok
silence silenced          ? roles        = 4317     4317    4320   4320     ok
silence owner             ? roles        = 4317     4317    4320   4320     4320
unsilence self            ? roles        = 4317     4317    4320   4320     4320
unsilence silenced        ? roles        = 4317     4317    4320   4320     ok
list_silenced                            = 4317     4317    ok     ok       ok
check_silenced silenced                  = 4317     4317    ok     ok       ok
block member              ? !blocks      = 4544     4544    4544   4544     4544
unblock blocked           ? !blocks      = 4544     4544    4544   4544     4544
list_blocked              ? !blocks      = 4544     4544    4544   4544     4544
check_blocked blocked     ? !blocks      = 4544     4544    4544   4544     4544
block self                ? blocks       = 4317     4317    4320   4320     4320
block outsider            ? blocks       = 4317     4317    4320   4320     ok
block blocked             ? blocks       = 4317     4317    4320   4320     ok
block member              ? blocks       = 4317     4317    4320   4320     ok
block silenced            ? blocks       = 4317     4317    4320   4320     ok
block owner               ? blocks       = 4317     4317    4320   4320     4320
unblock self              ? blocks       = 4317     4317    4320   4320     4320
unblock blocked           ? blocks       = 4317     4317    4320   4320     ok
list_blocked              ? blocks       = 4317     4317    4320   4320     ok
check_blocked blocked     ? blocks       = 4317     4317    4320   4320     ok
update                                   = 4309     4309    ok     ok       ok
mute                                     = 4308     4308    4308   4308     4308
unmute                                   = 4308     4308    4308   4308     4308
send                                     = ok       4548    ok     4563     ok
history                                  = ok       ok      ok     ok       ok
max_read                                 = 4308     4308    4308   4308     4308
is_member                                = false    false   true   true     false
count                                    = ok       ok      ok     ok       ok
"""

# Members are its subscribers; who may moderate it is the application's server alone.
SYSTEM = """
actor                                    = outsider blocked member
join                                     = ok       F4548   ok
leave                                    = ok       ok      ok
invite outsider                          = F4308    F4308   F4308
remove member                            = F4308    F4308   F4308
promote member                           = 4308     4308    4308
silence member                           = 4308     4308    4308
unsilence member                         = 4308     4308    4308
list_silenced                            = 4308     4308    4308
check_silenced member                    = 4308     4308    4308
block member                             = 4308     4308    4308
unblock blocked                          = 4308     4308    4308
list_blocked                             = 4308     4308    4308
check_blocked blocked                    = 4308     4308    4308
update                                   = 4308     4308    4308
mute                                     = 4317     4317    ok
unmute                                   = 4317     4317    ok
send                                     = ok       4548    ok
history                                  = 4312     4312    ok
max_read                                 = 4308     4308    4308
is_member                                = false    false   true
count                                    = ok       ok      ok
"""

TEMPORARY = """
actor                                    = outsider member owner
join                                     = 4308     4308   4308
leave                                    = 4308     4308   4308
invite outsider                          = 4308     4308   4308
invite member                            = 4308     4308   4308
remove outsider                          = 4308     4308   4308
remove member                            = 4308     4308   4308
remove owner                             = 4308     4308   4308
promote member                           = 4308     4308   4308
silence member                           = 4308     4308   4308
unsilence member                         = 4308     4308   4308
list_silenced                            = 4308     4308   4308
check_silenced member                    = 4308     4308   4308
block member                             = 4308     4308   4308
unblock member                           = 4308     4308   4308
list_blocked                             = 4308     4308   4308
check_blocked member                     = 4308     4308   4308
update                                   = 4308     4308   4308
mute                                     = 4317     ok     ok
unmute                                   = 4317     ok     ok
send                                     = 4401     ok     ok
history                                  = 4312     ok     ok
max_read                                 = 4312     ok     ok
is_member                                = false    true   true
count                                    = ok       ok     ok
"""

# What the application itself may do (rest-api 8), whatever is enabled for clients: each action, kind by kind.
APPLICATION = """
action                                   = normal  chat room  system  temporary
join                                     = ok      ok         ok      4308
leave                                    = ok      ok         ok      4308
invite                                   = ok      4308       4308    4308
remove                                   = ok      4308       4308    4308
update                                   = ok      ok         ok      4308
mute                                     = ok      4308       ok      ok
change role                              = ok      4308       4308    4308
silence                                  = ok      ok         ok      ok
list silenced                            = ok      ok         ok      4308
block                                    = ok      ok         ok      4308
list blocked                             = ok      ok         ok      4308
send                                     = ok      ok         ok      ok
read                                     = ok      ok         ok      ok
read marks                               = ok      4308       4308    ok
"""

TABLES = {Kind.NORMAL: NORMAL, Kind.CHAT_ROOM: CHAT_ROOM, Kind.SYSTEM: SYSTEM, Kind.TEMPORARY: TEMPORARY}
