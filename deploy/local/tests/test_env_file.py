import subprocess

from flywheel_local import env_file

AWKWARD = {"PLAIN": "s3://flywheel/lake", "SPACED": "/home/my files/flywheel", "QUOTED": "it's $HOME", "EMPTY": ""}


def test_what_is_written_is_read_back(tmp_path):
    env_file.write(tmp_path / "deep" / "env", AWKWARD)
    assert env_file.read(tmp_path / "deep" / "env") == AWKWARD


def test_a_shell_reads_the_same(tmp_path):
    env_file.write(tmp_path / "env", AWKWARD)
    script = f'. "{tmp_path}/env"; printf "%s|%s|%s|%s" "$PLAIN" "$SPACED" "$QUOTED" "$EMPTY"'
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout.split("|") == [*AWKWARD.values()]


def test_only_the_owner_may_read_it_even_if_it_was_open_before(tmp_path):
    (tmp_path / "env").write_text("OLD=1\n")
    (tmp_path / "env").chmod(0o644)
    env_file.write(tmp_path / "env", {"NEW": "2"})
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


def test_a_missing_file_sets_nothing(tmp_path):
    assert env_file.read(tmp_path / "none") == {}


def test_comments_and_exports_of_a_hand_written_file_are_understood(tmp_path):
    (tmp_path / "env").write_text("# mine\nexport A=1 B='two words'\nC=3=3\n")
    assert env_file.read(tmp_path / "env") == {"A": "1", "B": "two words", "C": "3=3"}
