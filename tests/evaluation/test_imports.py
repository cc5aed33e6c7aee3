import subprocess
import sys


def test_evaluation_imports_nothing_heavy():
    code = (
        "import sys, pkgutil, importlib, emokit.evaluation as package\n"
        "for module in pkgutil.iter_modules(package.__path__):\n"
        "    importlib.import_module('emokit.evaluation.' + module.name)\n"
        "heavy = {'torch', 'pandas', 'scipy', 'statsmodels', 'matplotlib', 'jinja2', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
