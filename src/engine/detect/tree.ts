import type { Source } from '../git/git.js'
import { NEXT_CONFIGURATION } from './node-pages.js'
import { djangoPackage } from './python-django.js'
import type { Tree } from './detected-build.js'

/** Folders in which something is looked for. */
const LOOKED_INTO = ['app', 'cmd', 'dist', 'prisma', 'public', 'src']
/** JSON: of a part of it nothing can be read. */
const READ_WHOLE = ['package.json', 'angular.json']
const READ = [
  ...['.nvmrc', '.node-version', 'Procfile', 'go.mod', 'Cargo.toml', 'rust-toolchain', 'rust-toolchain.toml'],
  ...NEXT_CONFIGURATION,
  'pnpm-lock.yaml',
  ...['requirements.txt', 'pyproject.toml', 'runtime.txt', '.python-version', 'manage.py'],
  ...['app/main.py', 'app/__init__.py'],
  ...['main.py', 'app.py', 'wsgi.py', 'asgi.py', 'server.py', 'application.py', 'api.py'],
]
/** What tells stands in front; what is longer is not written by hand. */
const READ_BYTES = 64 * 1024
const MAX_GO_FILES = 20
const MAX_SETTINGS = 20

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
  const read = async (wanted: readonly string[]) =>
    Promise.all(
      wanted.map(async (path) => {
        const bytes = READ_WHOLE.includes(path) ? undefined : READ_BYTES
        return [path, await source.read(at(path), signal, bytes)] as const
      }),
    )
  const texts = new Map(
    await read([...[...READ_WHOLE, ...READ].filter((path) => paths.has(path)), ...programs]),
  )
  const django = djangoPackage(texts.get('manage.py'))?.replaceAll('.', '/')
  if (django !== undefined) {
    const places = [`${django}/`, `${django}/settings/`]
    const beside = await Promise.all(places.map((place) => list(place, at(place.slice(0, -1)))))
    const settings = beside.flat().filter((path) => /\/settings(?:\/\w+)?\.py$/.test(path))
    for (const [path, text] of await read(settings.slice(0, MAX_SETTINGS))) texts.set(path, text)
  }
  return { paths, texts }
}
