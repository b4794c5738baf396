from core.project.import_report import ImportNote, ImportReport


def test_what_is_alike_is_told_once_with_the_first_names() -> None:
    notes = tuple(
        ImportNote("ignored", f"{i}.json", "a polygon was left out", "# polygons were left out") for i in range(5)
    )
    assert ImportReport(5, 5, notes).sentences() == [
        "5 pictures and 5 annotations came in.",
        "5 polygons were left out (0.json, 1.json, 2.json and 2 more).",
    ]


def test_one_of_a_kind_is_told_in_the_singular() -> None:
    note = ImportNote("ignored", "a.json", "a polygon was left out", "# polygons were left out")
    assert ImportReport(1, 1, (note,)).sentences()[1] == "A polygon was left out (a.json)."


def test_several_of_one_file_name_it_once() -> None:
    note = ImportNote("ignored", "a.json", "a polygon was left out", "# polygons were left out")
    assert ImportReport(1, 1, (note, note)).sentences()[1] == "2 polygons were left out (a.json)."


def test_a_sentence_that_begins_with_its_file_keeps_its_letters_and_gains_the_folder() -> None:
    note = ImportNote("error", "x/hopper.gif", "hopper.gif is a GIF. Save it as PNG.")
    assert ImportReport(0, 0, (note,)).sentences() == ["Nothing new came in.", "x/hopper.gif is a GIF. Save it as PNG."]


def test_what_needs_the_person_comes_first() -> None:
    notes = (ImportNote("assumed", "1.json", "a name was guessed"), ImportNote("error", "2.json", "something failed"))
    assert ImportReport(1, 0, notes, ("wall", "crack")).sentences() == [
        "1 picture and 0 annotations came in.",
        "New labels: wall, crack.",
        "Something failed (2.json).",
        "A name was guessed (1.json).",
    ]


def test_json_holds_the_sentences_and_each_note() -> None:
    value = ImportReport(1, 0, (ImportNote("error", "b", "something failed"),)).to_json()
    assert value["notes"] == [{"kind": "error", "name": "b", "text": "something failed"}]
    assert value["sentences"][1] == "Something failed (b)."


def test_half_a_letter_pair_in_a_name_can_be_shown() -> None:
    report = ImportReport(1, 1, (ImportNote("assumed", "a\ud800.json", "it names b\udfff.png"),))
    assert report.sentences()[1] == "It names b?.png (a?.json)."
    str(report.to_json()).encode()
