import type { Source } from '../git/git.js'
import type { Tree } from './recipe.js'

/** Folders in which something is looked for. */
const LOOKED_INTO = ['app', 'cmd', 'dist', 'public', 'src']
const READ = [
  ...[
    'package.json',
    'angular.json',
    '.nvmrc',
    '.node-version',
    'Procfile',
    'go.mod',
    'Cargo.toml',
    'rust-toolchain',
    'rust-toolchain.toml',
  ],
  ...[
    'requirements.txt',
    'pyproject.toml',
    'runtime.txt',
    '.python-version',
    'manage.py',
    'app/main.py',
    'app/__init__.py',
  ],
  ...['main.py', 'app.py', 'wsgi.py', 'asgi.py', 'server.py', 'application.py', 'api.py'],
]
const MAX_GO_FILES = 20

/** As much of a folder of a commit as tells how it is built. */
export async function readTree(source: Source, folder: string, signal: AbortSignal): Promise<Tree> {
  const at = (path: string) => (folder === '.' ? path : `${folder}/${path}`)
  const list = async (inner: string, place: string) =>
    [...(await source.list(place, signal))].flatMap(([name, kind]) => {
      if (kind === 'folder') return [`${inner}${name}/`]
      return kind === 'file' ? [`${inner}${name}`] : []
    })
  const root = await list('', folder)
  const inner = LOOKED_INTO.filter((name) => root.includes(`${name}/`)).map((name) =>
    list(`${name}/`, at(name)),
  )
  const paths = new Set([...root, ...(await Promise.all(inner)).flat()])
  const programs = root
    .filter((path) => path.endsWith('.go') && !path.endsWith('_test.go'))
    .slice(0, MAX_GO_FILES)
  const wanted = [...READ.filter((path) => paths.has(path)), ...programs]
  const texts = await Promise.all(
    wanted.map(async (path) => [path, await source.read(at(path), signal)] as const),
  )
  return { paths, texts: new Map(texts) }
}
