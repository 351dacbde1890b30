import { type Requirement, requirementsOf } from './python-requirements.js'
import { linesOf, type Tree } from './detected-build.js'

/** What of Debian a package is compiled with, if it is when it is installed, and what it runs with. */
interface Needs {
  readonly build: readonly string[] | null
  readonly run: readonly string[]
}

const compiled = (build: readonly string[], run: readonly string[] = []): Needs => ({ build, run })
const linked = (run: readonly string[]): Needs => ({ build: null, run })

const NEEDS = new Map<string, Needs>([
  ['psycopg2', compiled(['libpq-dev'], ['libpq5'])],
  ['psycopg2cffi', compiled(['libpq-dev', 'libffi-dev'], ['libpq5'])],
  ['psycopg-c', compiled(['libpq-dev'], ['libpq5'])],
  ['psycopg', linked(['libpq5'])],
  ['mysqlclient', compiled(['default-libmysqlclient-dev', 'pkg-config'], ['libmariadb3'])],
  ['uwsgi', compiled([])],
  ['python-ldap', compiled(['libldap-dev', 'libsasl2-dev'], ['libldap-dev', 'libsasl2-2'])],
  ['xmlsec', compiled(['libxmlsec1-dev', 'pkg-config'], ['libxmlsec1-openssl'])],
  ['pycairo', compiled(['libcairo2-dev', 'pkg-config'], ['libcairo2'])],
  ['pygraphviz', compiled(['libgraphviz-dev', 'pkg-config'], ['graphviz'])],
  ['graphviz', linked(['graphviz'])],
  ['cairosvg', linked(['libcairo2'])],
  ['python-magic', linked(['libmagic1'])],
  ['pyodbc', linked(['unixodbc'])],
  ['weasyprint', linked(['libpango-1.0-0', 'libpangoft2-1.0-0', 'libharfbuzz-subset0'])],
  ['opencv-python', linked(['libgl1', 'libglib2.0-0'])],
  ['pydub', linked(['ffmpeg'])],
  ['pytesseract', linked(['tesseract-ocr'])],
  ['pdf2image', linked(['poppler-utils'])],
])

/** What of Debian the packages need that the manifest names: slim images have no compiler, and no git. */
export function systemPackages(tree: Tree): { readonly build: string[]; readonly run: string[] } {
  const needs = requirementsOf(tree).flatMap(needsOf)
  const builds = needs.flatMap(({ build }) => (build === null ? [] : [build]))
  const files = ['requirements.txt', 'pyproject.toml', 'Pipfile']
  const manifest = files.map((file) => tree.texts.get(file)).find((text) => text !== undefined) ?? ''
  const usesGit = linesOf(manifest).some((line) => /^[^#]*\bgit(?:\+|[ \t]*=)/.test(line))
  return {
    build: [
      ...new Set([
        ...(builds.length > 0 ? ['build-essential'] : []),
        ...builds.flat(),
        ...(usesGit ? ['ca-certificates', 'git'] : []),
      ]),
    ],
    run: [...new Set(needs.flatMap(({ run }) => run))],
  }
}

/** psycopg is pure Python that loads libpq, compiled against it, or brings it along. */
function needsOf({ name, extras }: Requirement): Needs[] {
  if (name === 'psycopg' && extras.includes('binary')) return []
  const found = NEEDS.get(name === 'psycopg' && extras.includes('c') ? 'psycopg-c' : name)
  return found === undefined ? [] : [found]
}
