"""A file's stem is its functions' prefix, so a stem names one module in the whole tree."""

from lint_common import files, finish

places = {}
for path in files(".c", ".h"):
    places.setdefault(path.stem, set()).add(str(path.parent))
finish([f"{stem}: used in {' and '.join(sorted(folders))}" for stem, folders in places.items() if len(folders) > 1])
