def test_barriers_are_kept_in_a_store_once(ssefw, tmp_path, li2o):
    from ssefw.documents import Barrier
    from ssefw.store import connect

    li2o.to(tmp_path / "li2o.cif")
    for _ in range(2):
        ssefw("bvse", "li2o.cif", "--resolution", "0.3", "--keep", "st")
    with connect(tmp_path / "st", read_only=True) as connection:
        (barrier,) = connection.results.find(Barrier)
    assert barrier.formula == "Li2O"
    assert barrier.candidate_id
