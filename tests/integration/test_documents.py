"""README.md and docs/: their command blocks do what they say, in order, on real servers."""


def test_tutorial(reader, kafka, killed_servers):
    reader.follow("docs/tutorial.md", {"stop the broker": kafka.kill, "start the broker": kafka.start})


def test_readme(reader, postgres):
    postgres.create_database("shop")
    reader.follow("README.md")
