import { namedPackages } from './python-packages.js'
import { linesOf, type Tree } from './detected-build.js'

/** Packages that are compiled when they are installed: what of Debian they are compiled with, and what they run with. */
const COMPILED = new Map<string, { readonly build: readonly string[]; readonly run: readonly string[] }>([
  ['psycopg2', { build: ['libpq-dev'], run: ['libpq5'] }],
  ['mysqlclient', { build: ['default-libmysqlclient-dev', 'pkg-config'], run: ['libmariadb3'] }],
  ['uwsgi', { build: [], run: [] }],
])

/** What of Debian the packages need that the manifest names: slim images have no compiler, and no git. */
export function systemPackages(tree: Tree): { readonly build: string[]; readonly run: string[] } {
  const compiled = [...namedPackages(tree)].flatMap((name) => COMPILED.get(name) ?? [])
  const manifest = tree.texts.get('requirements.txt') ?? tree.texts.get('pyproject.toml') ?? ''
  const usesGit = linesOf(manifest).some((line) => /^[^#]*\bgit(?:\+|[ \t]*=)/.test(line))
  return {
    build: [
      ...(compiled.length > 0 ? ['build-essential'] : []),
      ...compiled.flatMap(({ build }) => build),
      ...(usesGit ? ['ca-certificates', 'git'] : []),
    ],
    run: compiled.flatMap(({ run }) => run),
  }
}
