"""The end of a job's machine whose parts are put together by the actor `collect`, in their order, as the object
`sum`. The job has the variable `parts`, the family `part` makes files called so."""

STATES = {
    "hand-in": {"send": {"to": "collect", "name": "part", "file": "part"},
                "on": {"ok": "done"}},
    "gather": {
        "run": {"argv": ["sh", "-euc", """
                    n=0; : >sum
                    while test $$n -lt ${parts}; do
                        echo "await part $$n" >&3; read -r answer <&3
                        test "$$answer" = ready
                        cat part-$$(printf %06d $$n) >>sum; n=$$((n + 1))
                    done"""],
                "points": {"part": {"receive": {"from": "part-${number}", "name": "part",
                                                "file": "part-${number}"}}}},
        "on": {"ok": "deliver"}},
    "deliver": {"put": {"file": "sum", "key": "sum"}, "on": {"ok": "done"}},
    "done": {"quit": {}},
}
