"""Messages of errors."""

from ssefw.errors import ConfigurationError, DataError


def test_a_message_that_quotes_a_whole_file_keeps_its_beginning_and_its_remedy():
    said = str(DataError(f"a.dump holds the columns {'[' * 5000}; positions need x y z."))
    assert said.startswith("a.dump holds the columns [[")
    assert said.endswith("[[; positions need x y z.")
    assert len(said) < 1700


def test_each_line_is_shortened_and_none_is_lost():
    error = ConfigurationError("first " + "x" * 5000, "second")
    assert [len(line) < 1700 for line in str(error).split("\n")] == [True, True]
    assert len(error.mistakes[0]) < 1700
    assert error.mistakes[1] == "second"
