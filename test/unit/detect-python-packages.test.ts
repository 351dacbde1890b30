import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withCompiler } from '../../src/engine/detect/python-packages.js'
import { has, recipe } from '../support/detected.js'

const FLASK = { 'app.py': 'from flask import Flask\napp = Flask(__name__)\n' }
const PROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = ["flask"]\n'
const BUILD = '\n[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'

function dockerfileOf(files: Record<string, string>): string {
  return recipe({ ...FLASK, ...files }).dockerfile
}

describe('packages of Python', () => {
  test('of uv and of Poetry, with a lock file and without', () => {
    const uv = withCompiler('uv sync --frozen --no-dev --no-cache --active --no-install-project')
    const poetry = withCompiler('poetry install --only main --no-interaction --no-root')
    has(dockerfileOf({ 'pyproject.toml': PROJECT, 'uv.lock': '' }), ['COPY pyproject.toml uv.lock ./', uv])
    has(dockerfileOf({ 'pyproject.toml': '[tool.poetry]', 'poetry.lock': '' }), [
      'COPY pyproject.toml poetry.lock ./',
      poetry,
    ])
    has(dockerfileOf({ 'pyproject.toml': '[tool.poetry]\nname = "x"\n' }), ['COPY pyproject.toml ./', poetry])
  })

  test('of a project that is no package are installed without it', () => {
    for (const text of [PROJECT, PROJECT + BUILD]) {
      const dockerfile = dockerfileOf({ 'pyproject.toml': text, 'models.py': '' })
      has(dockerfile, ['COPY pyproject.toml ./', withCompiler('uv pip install --no-cache -r pyproject.toml')])
      assert.doesNotMatch(dockerfile, /install --no-cache-dir \./)
    }
    assert.doesNotMatch(dockerfileOf({ 'pyproject.toml': '[tool.ruff]\n' }), /pyproject/)
  })

  test('of one that says how it is made a package are installed with it', () => {
    const lines = ['COPY . .', withCompiler('pip install --no-cache-dir .')]
    for (const more of ['[tool.setuptools]\npackages = ["x"]\n', '[project.scripts]\nx = "x:main"\n'])
      has(dockerfileOf({ 'pyproject.toml': PROJECT + BUILD + more }), lines)
    has(dockerfileOf({ 'pyproject.toml': PROJECT + BUILD, 'src/x/__init__.py': '' }), lines)
  })

  test('of uv and of Poetry are installed with a project that is a package', () => {
    const uv = { 'pyproject.toml': `${PROJECT}${BUILD}[project.scripts]\nx = "x:main"\n`, 'uv.lock': '' }
    has(dockerfileOf(uv), [
      'COPY . .',
      withCompiler('uv sync --frozen --no-dev --no-cache --active --no-editable'),
    ])
    const poetry = '[tool.poetry]\nname = "My-App"\n[build-system]\nrequires = ["poetry-core"]\n'
    const whole = ['COPY . .', withCompiler('poetry install --only main --no-interaction')]
    const alone = [
      'COPY pyproject.toml ./',
      withCompiler('poetry install --only main --no-interaction --no-root'),
    ]
    const of = (text: string, more = {}) => dockerfileOf({ 'pyproject.toml': text, ...more })
    has(of(poetry, { 'my_app/__init__.py': '' }), whole)
    has(of(poetry, { 'src/my_app/__init__.py': '' }), whole)
    has(of(poetry.replace('[build', 'packages = [{ include = "lib" }]\n[build')), whole)
    has(of(poetry), alone)
    has(of(poetry.replace('[build', 'package-mode = false\n[build'), { 'my_app/a.py': '' }), alone)
  })

  for (const line of [
    '-r base.txt',
    '-rbase.txt',
    '-c constraints.txt',
    '--requirement=base.txt',
    '-e .',
    '.',
    './lib',
    'lib/x',
    'wheels/x-1.0-py3-none-any.whl',
    'x-1.0.tar.gz',
    'x @ file:///app/x',
  ]) {
    test(`that "${line}" leads to are there when they are installed`, () => {
      has(dockerfileOf({ 'requirements.txt': `flask\n${line}\n` }), [
        'COPY . .',
        withCompiler('pip install --no-cache-dir -r requirements.txt'),
      ])
    })
  }

  test('of other places are a layer of their own', () => {
    const lines = [
      '# see base/x.txt',
      'a==1 # b/c',
      'b @ https://x.org/b.whl',
      '-i https://x.org/simple',
      'c[d]>=1',
    ]
    has(dockerfileOf({ 'requirements.txt': lines.join('\n') }), ['COPY requirements.txt ./'])
  })

  test('that are in the repository, by pyproject.toml', () => {
    const source = '[tool.uv.sources]\ny = { path = "../y" }\n'
    has(dockerfileOf({ 'pyproject.toml': PROJECT + source, 'uv.lock': '' }), ['COPY . .'])
    has(dockerfileOf({ 'pyproject.toml': '[project]\ndynamic = ["dependencies"]\n' }), [
      'COPY . .',
      withCompiler('uv pip install --no-cache -r pyproject.toml'),
    ])
  })
})

describe('a server of Python', () => {
  const install = (names: string) => `RUN /venv/bin/python -m pip install --no-cache-dir ${names}`

  for (const [what, files] of Object.entries({
    comment: { 'requirements.txt': 'flask\n# gunicorn\n' },
    'longer name': { 'requirements.txt': 'gunicorn-x\n' },
    extra: {
      'pyproject.toml': `${PROJECT}[project.optional-dependencies]\nweb = ["gunicorn"]\n`,
    },
    'development group': {
      'pyproject.toml': '[tool.poetry.group.dev.dependencies]\ngunicorn = "*"\n',
      'poetry.lock': '',
    },
    'comment in a list': { 'pyproject.toml': '[project]\ndependencies = [\n  "flask", # "gunicorn",\n]\n' },
  } as Record<string, Record<string, string>>)) {
    test(`is installed although it is in a ${what}`, () => has(dockerfileOf(files), [install('gunicorn')]))
  }

  for (const [what, files] of Object.entries({
    'requirements.txt': { 'requirements.txt': 'flask\nGunicorn[gevent] >= 20 # server\n' },
    'pyproject.toml': {
      'pyproject.toml': '[project]\ndependencies = [ "uvicorn[standard]", \'gunicorn>1\' ]\n',
    },
    Poetry: { 'pyproject.toml': '[tool.poetry.dependencies]\ngunicorn = "*"\n' },
  } as Record<string, Record<string, string>>)) {
    test(`is not installed twice where ${what} has it`, () =>
      assert.doesNotMatch(dockerfileOf(files), /-m pip install/))
  }

  test('that a Procfile calls is installed as well', () => {
    const of = (line: string) => dockerfileOf({ 'requirements.txt': 'flask', Procfile: `web: ${line}\n` })
    has(of('gunicorn -k uvicorn.workers.UvicornWorker app:app'), [install('gunicorn uvicorn')])
    has(of('python -m waitress --port=$PORT app:app'), [install('waitress')])
    has(of('./x && exec daphne a.asgi:application'), [install('daphne')])
    assert.doesNotMatch(of('python app.py'), /-m pip install/)
  })
})

describe('what packages of Python need of Debian', () => {
  const of = (files: Record<string, string>) => {
    const found = dockerfileOf(files).matchAll(/apt-get install -y --no-install-recommends (.*?) && rm/g)
    return [...found].map(([, names]) => names)
  }
  const requirements = (text: string) => of({ 'requirements.txt': text })

  test('is there where they are compiled, and their libraries where they run', () => {
    assert.deepEqual(requirements('flask\nPsycopg2==2.9\n'), ['build-essential libpq-dev', 'libpq5'])
    assert.deepEqual(requirements('mysqlclient'), [
      'build-essential default-libmysqlclient-dev pkg-config',
      'libmariadb3',
    ])
    assert.deepEqual(requirements('uWSGI>=2'), ['build-essential'])
    const project = '[tool.poetry.dependencies]\npsycopg2 = "^2"\nx = { git = "https://x.org/x.git" }\n'
    assert.deepEqual(of({ 'pyproject.toml': project }), [
      'build-essential libpq-dev ca-certificates git',
      'libpq5',
    ])
  })

  test('is git where a package is a repository', () => {
    for (const line of [
      'git+https://x.org/a.git',
      'a @ git+https://x.org/a.git@v1',
      '-e git+ssh://x/a#egg=a',
    ])
      assert.deepEqual(requirements(`flask\n${line}\n`), ['ca-certificates git'])
  })

  test('is nothing else', () => {
    for (const text of [
      'psycopg2-binary',
      'psycopg2_binary',
      '# psycopg2',
      'flask # git+x',
      'gitpython',
      'a==1',
    ])
      assert.deepEqual(requirements(text), [], text)
  })
})
