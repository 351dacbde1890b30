import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withCompiler } from '../../src/engine/detect/python-packages.js'
import { has, problem, recipe } from '../support/detected.js'

describe('Python is detected', () => {
  test('a Flask app, with a server of its own', () => {
    const files = {
      'requirements.txt': 'flask==3.0\n',
      'app.py': 'from flask import Flask\napp = Flask(__name__)\n',
    }
    const { dockerfile, language } = recipe(files)
    assert.equal(language, 'Python')
    has(dockerfile, [
      'FROM python:3.14-slim AS build',
      'COPY requirements.txt ./',
      withCompiler('pip install --no-cache-dir -r requirements.txt'),
      'RUN /venv/bin/python -m pip install --no-cache-dir gunicorn',
      'FROM python:3.14-slim',
      'COPY --from=build /venv /venv',
      'COPY --chown=1000:1000 . .',
      'USER 1000:1000',
      'EXPOSE 8000',
      'CMD ["sh","-c","exec gunicorn --bind 0.0.0.0:$PORT app:app"]',
    ])
  })

  test('a Flask app that brings gunicorn gets it once', () => {
    const files = {
      'requirements.txt': 'Flask\ngunicorn>=20\n',
      'app.py': 'server = Flask(__name__)\n',
      'runtime.txt': 'python-3.11.9\n',
    }
    const { dockerfile } = recipe(files)
    assert.doesNotMatch(dockerfile, /install --no-cache-dir gunicorn/)
    assert.match(dockerfile, /app:server/)
    assert.match(dockerfile, /FROM python:3\.11-slim/)
  })

  test('a FastAPI app in its usual places', () => {
    const text = 'import fastapi\napp: FastAPI = fastapi.FastAPI(title="x")\n'
    for (const [path, module] of [
      ['main.py', 'main'],
      ['app/main.py', 'app.main'],
    ] as const) {
      has(recipe({ 'requirements.txt': 'fastapi[standard]\n', [path]: text }).dockerfile, [
        `CMD ["sh","-c","exec uvicorn --host 0.0.0.0 --port $PORT ${module}:app"]`,
      ])
    }
  })

  test('a Django project', () => {
    const manage = `os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')`
    has(recipe({ 'requirements.txt': 'Django', 'manage.py': manage }).dockerfile, [
      'CMD ["sh","-c","exec gunicorn --bind 0.0.0.0:$PORT mysite.wsgi"]',
    ])
  })

  test('a Django project that puts static files somewhere: they are collected, if that is possible', () => {
    const manage = (module: string) => `os.environ.setdefault('DJANGO_SETTINGS_MODULE', '${module}')`
    const collect = /^RUN python manage\.py collectstatic --noinput \|\| echo .*$/m
    const of = (module: string, path: string, text: string, more = {}) =>
      recipe({ 'requirements.txt': 'Django', 'manage.py': manage(module), [path]: text, ...more }).dockerfile
    const root = 'import os\nSTATIC_ROOT = BASE_DIR / "static"\n'
    const lines = of('mysite.settings', 'mysite/settings.py', root).split('\n')
    const at = lines.findIndex((line) => collect.test(line))
    assert.ok(at > lines.indexOf('USER 1000:1000'), 'what it makes is of the user that the program runs as')
    assert.match(of('a.b.settings.production', 'a/b/settings/base.py', root), collect)
    for (const text of ['# STATIC_ROOT = x', 'STATIC_URL = "a"', ''])
      assert.doesNotMatch(of('mysite.settings', 'mysite/settings.py', text), collect)
    assert.doesNotMatch(of('mysite.settings', 'other/settings.py', root), collect)
    const Procfile = 'web: python manage.py collectstatic --noinput && gunicorn mysite.wsgi'
    assert.doesNotMatch(of('mysite.settings', 'mysite/settings.py', root, { Procfile }), collect)
  })

  for (const [text, version] of [
    ['[project]\nname = "x"\nrequires-python = ">=3.9,<3.12"\n', '3.11'],
    ['[project]\nrequires-python = ">=3.14"\n', '3.14'],
    ["[tool.poetry.dependencies]\npython = '^3.10'\n", '3.14'],
    ['[tool.poetry.dependencies]\npython = "~3.10"\n', '3.10'],
    ['[tool.x]\nrequires-python = "3.9"\n', '3.14'],
  ] as const) {
    test(`version of ${JSON.stringify(text)} is ${version}`, () =>
      has(recipe({ 'pyproject.toml': text, 'main.py': '' }).dockerfile, [`FROM python:${version}-slim`]))
  }

  test('a Procfile says how it is started, also in two steps', () => {
    const files = { 'requirements.txt': '', Procfile: 'release: x\nweb: gunicorn hello:app --log-file -\n' }
    has(recipe(files).dockerfile, ['CMD ["sh","-c","exec gunicorn hello:app --log-file -"]'])
    const exec = { ...files, Procfile: 'web: exec gunicorn hello:app\n' }
    has(recipe(exec).dockerfile, ['CMD ["sh","-c","exec gunicorn hello:app"]'])
    const two = { ...files, Procfile: 'web: python manage.py migrate && gunicorn "a b"\n' }
    has(recipe(two).dockerfile, ['CMD ["sh","-c","python manage.py migrate && gunicorn \\"a b\\""]'])
  })

  test('what cannot be started says what to add', () => {
    assert.match(problem({ 'requirements.txt': '' }), /add a Procfile/)
  })
})
