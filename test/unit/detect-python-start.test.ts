import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { has, json, recipe } from '../support/detected.js'

const UVICORN = 'exec uvicorn --host 0.0.0.0 --port $PORT'
const GUNICORN = 'exec gunicorn --bind 0.0.0.0:$PORT'
const FLASK = 'from flask import Flask\napp = Flask(__name__)\n'
const FACTORY = 'from flask import Flask\ndef create_app():\n    app = Flask(__name__)\n    return app\n'
const BUILD = '[build-system]\nrequires = ["setuptools"]\n'
const PROJECT = '[project]\nname = "x"\nversion = "1"\n'
const WSGI = 'from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n'
const ASGI = WSGI.replaceAll('wsgi', 'asgi')

/** A folder's files beside requirements.txt, and what is run. */
const ROWS: readonly (readonly [what: string, files: Record<string, string>, command: string])[] = [
  ['create_app() called in app.py', { 'app.py': `${FACTORY}app = create_app()\n` }, `${GUNICORN} app:app`],
  [
    'create_app() called in a package',
    { 'app/__init__.py': `${FACTORY}application = create_app("x")\n` },
    `${GUNICORN} app:application`,
  ],
  ['create_app() that nobody calls', { 'app/__init__.py': FACTORY }, `${GUNICORN} 'app:create_app()'`],
  ['a factory of another package', { 'shop/__init__.py': FACTORY }, `${GUNICORN} 'shop:create_app()'`],
  [
    'a factory of FastAPI',
    { 'main.py': 'from fastapi import FastAPI\ndef create_app():\n    return FastAPI()\n' },
    `${UVICORN} --factory main:create_app`,
  ],
  [
    'a factory of FastAPI that is called',
    { 'main.py': 'from x import create_app\napp = create_app()\n', 'requirements.txt': 'fastapi\n' },
    `${UVICORN} main:app`,
  ],
  [
    'FastHTML',
    { 'main.py': 'from fasthtml.common import *\napp, rt = fast_app()\nserve()\n' },
    `${UVICORN} main:app`,
  ],
  ['FastHTML, in long', { 'app.py': 'app = FastHTML(hdrs=())\n' }, `${UVICORN} app:app`],
  ['Sanic', { 'server.py': 'app = Sanic("x")\n' }, 'exec sanic server:app --host 0.0.0.0 --port $PORT'],
  [
    'Streamlit',
    { 'app.py': 'import streamlit as st\n' },
    'exec streamlit run app.py --server.address 0.0.0.0 --server.port $PORT --server.headless true',
  ],
  ['an application in a package', { 'shop/main.py': 'app = FastAPI()\n' }, `${UVICORN} shop.main:app`],
  ['Django by wsgi.py', { 'manage.py': 'from x import y\n', 'conf/wsgi.py': WSGI }, `${GUNICORN} conf.wsgi`],
  [
    'Django whose settings are elsewhere',
    {
      'manage.py': `('DJANGO_SETTINGS_MODULE', 'conf.settings')`,
      'conf/settings.py': '',
      'site/wsgi.py': WSGI,
    },
    `${GUNICORN} site.wsgi`,
  ],
  ['Django by asgi.py alone', { 'manage.py': '', 'conf/asgi.py': ASGI }, `${UVICORN} conf.asgi:application`],
  [
    'a Procfile with flask run',
    { 'app.py': FLASK, Procfile: 'web: flask run' },
    'exec env FLASK_RUN_PORT=$PORT flask run',
  ],
  ['Gradio', { 'app.py': 'import gradio as gr\n' }, 'exec env GRADIO_SERVER_PORT=$PORT python app.py'],
  [
    'a Procfile whose program listens on 127.0.0.1',
    { 'app.py': `${FLASK}app.run(debug=True)\n`, Procfile: 'web: python app.py' },
    `${GUNICORN} app:app`,
  ],
  [
    'a Procfile whose program listens everywhere',
    { 'app.py': `${FLASK}app.run(host="0.0.0.0", port=5000)\n`, Procfile: 'web: python app.py' },
    'exec python app.py',
  ],
]

describe('a program of Python is started', () => {
  for (const [what, files, command] of ROWS) {
    test(`as ${what}`, () => {
      has(recipe({ 'requirements.txt': 'x\n', ...files }).dockerfile, [`CMD ${json(['sh', '-c', command])}`])
    })
  }

  for (const [what, files] of [
    [
      'Poetry',
      {
        'pyproject.toml': `[tool.poetry]\nname = "x"\n[tool.poetry.scripts]\nweb = "x:main"\n${BUILD}`,
        'x/a.py': '',
      },
    ],
    ['uv', { 'pyproject.toml': `${PROJECT}[project.scripts]\nweb = "x:main"\n${BUILD}`, 'uv.lock': '' }],
    ['setup.py', { 'setup.py': 'setup(entry_points={"console_scripts": ["web = x:main"]})' }],
    [
      'setup.cfg',
      { 'setup.cfg': '[options.entry_points]\nconsole_scripts =\n    web = x.y:main\n', 'setup.py': '' },
    ],
  ] as readonly (readonly [string, Record<string, string>])[]) {
    test(`by the one command of a package by ${what}`, () =>
      has(recipe(files).dockerfile, ['CMD ["sh","-c","exec web"]']))
  }

  test('by a Procfile alone, where there is nothing to install', () => {
    const { dockerfile, language } = recipe({ Procfile: 'web: python serve.py', 'serve.py': '' })
    assert.equal(language, 'Python')
    has(dockerfile, ['CMD ["sh","-c","exec python serve.py"]'])
  })

  test('with servers for development told to listen where others get to', () => {
    const { dockerfile, notes } = recipe({
      'requirements.txt': 'flask',
      'app.py': `${FLASK}app.run()`,
      Procfile: 'web: python app.py',
    })
    assert.match(dockerfile, /^ENV HOST=0\.0\.0\.0 .*FLASK_RUN_HOST=0\.0\.0\.0/m)
    assert.match(notes.join('\n'), /127\.0\.0\.1 only, so gunicorn is started instead/)
  })
})

describe('packages of Python', () => {
  const flask = { 'app.py': FLASK }
  const of = (files: Record<string, string>) => recipe({ ...flask, ...files }).dockerfile

  test('of a Pipfile are those of its lock file', () => {
    const pipfile = { Pipfile: '[packages]\nflask = "*"\npsycopg = {extras = ["c"], version = "*"}\n' }
    const dockerfile = of({ ...pipfile, 'Pipfile.lock': '{}' })
    has(dockerfile, [
      'RUN pip install --no-cache-dir pipenv',
      'COPY Pipfile Pipfile.lock ./',
      'RUN pipenv requirements > /tmp/requirements.txt',
    ])
    assert.match(dockerfile, /install -y --no-install-recommends build-essential libpq-dev /)
    has(of(pipfile), ['RUN pipenv lock && pipenv requirements > /tmp/requirements.txt'])
  })

  test('of psycopg 3 get libpq, a compiler for [c], and nothing for [binary]', () => {
    const apt = (line: string) =>
      [...of({ 'requirements.txt': line }).matchAll(/then .* --no-install-recommends (.*?) && rm/g)].map(
        ([, names]) => names,
      )
    assert.deepEqual(apt('psycopg>=3'), ['libpq5'])
    assert.deepEqual(apt('psycopg[pool]'), ['libpq5'])
    assert.deepEqual(apt('psycopg[c, pool]'), ['build-essential libpq-dev', 'libpq5'])
    assert.deepEqual(apt('psycopg[binary,pool]==3.2'), [])
    assert.deepEqual(apt('python-magic'), ['libmagic1'])
    assert.deepEqual(apt('python-ldap\npsycopg2'), [
      'build-essential libldap-dev libsasl2-dev libpq-dev',
      'libldap-dev libsasl2-2 libpq5',
    ])
  })

  test('without a wheel are compiled, and an error says which Python may have one', () => {
    for (const files of [
      { 'requirements.txt': 'x' },
      { 'pyproject.toml': PROJECT, 'uv.lock': '' },
      { 'pyproject.toml': '[tool.poetry]\n' },
      { Pipfile: '' },
    ] as readonly Record<string, string>[])
      assert.match(
        of(files),
        /^RUN (\S.*) \|\| \{ \{ command -v gcc \|\| .*build-essential; \}; \} && \1; \} \|\| .*\.python-version/m,
      )
  })
})
