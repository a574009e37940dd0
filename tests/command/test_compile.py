"""How ``dcgen compile`` shows its figures."""

from dcgen.command.compile import distillation_rows

START, BEST = {"blob_bytes": 2000, "loss": 0.1}, {"blob_bytes": 1900, "loss": 0.09}


def test_whether_distillation_helped_is_said():
    def said(best, helped):
        found = {"start": START, "best": best, "helped": helped, "rounds": [{}] * 3}
        ((_, text),) = distillation_rows({"distillation": found})
        return text

    assert said(BEST, True) == "2,000 bytes at loss 0.1000 became 1,900 bytes at loss 0.0900 in 3 rounds"
    assert said(BEST, False).startswith("did not help: 2,000 bytes at loss 0.1000 kept")
    assert said(None, False).startswith("did not help: nothing better than 2,000 bytes")
    assert distillation_rows({}) == []
