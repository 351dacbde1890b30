import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTree } from '../../src/engine/detect/tree.js'
import type { EntryKind, Source } from '../../src/engine/git/git.js'

const NEVER = new AbortController().signal

/** Only what a tree is read with. */
function sourceOf(files: Readonly<Record<string, string>>): Source {
  const list = (folder: string) => {
    const below = Object.keys(files).filter((path) => folder === '.' || path.startsWith(`${folder}/`))
    const entries = below.map((path): [string, EntryKind] => {
      const [name = '', ...rest] = path.slice(folder === '.' ? 0 : folder.length + 1).split('/')
      return [name, rest.length > 0 ? 'folder' : 'file']
    })
    return Promise.resolve(new Map(entries))
  }
  const read = (path: string, _signal: AbortSignal, bytes = Infinity) =>
    Promise.resolve((files[path] ?? assert.fail(path)).slice(0, bytes))
  return { list, read } as Partial<Source> as Source
}

test('of each file the beginning is read, but for JSON', async () => {
  const long = 'x'.repeat(100_000)
  const names = ['package.json', 'angular.json', 'requirements.txt', 'Procfile', 'pnpm-lock.yaml', 'main.go']
  const files = Object.fromEntries(names.map((name) => [`web/${name}`, long]))
  const { texts } = await readTree(sourceOf({ ...files, Procfile: 'elsewhere' }), 'web', NEVER)
  const lengths = names.map((name) => texts.get(name)?.length)
  assert.deepEqual(lengths, [100_000, 100_000, 65_536, 65_536, 65_536, 65_536])
})

test('of Django the settings are read, wherever manage.py says they are', async () => {
  const manage = (module: string) => `setdefault('DJANGO_SETTINGS_MODULE', '${module}')`
  const of = async (module: string, paths: readonly string[]) => {
    const files = Object.fromEntries(paths.map((path) => [path, 'text']))
    const { texts } = await readTree(sourceOf({ 'manage.py': manage(module), ...files }), '.', NEVER)
    return [...texts.keys()].filter((path) => path !== 'manage.py')
  }
  assert.deepEqual(await of('mysite.settings', ['mysite/settings.py', 'mysite/urls.py', 'x/settings.py']), [
    'mysite/settings.py',
  ])
  const split = ['a/b/settings/base.py', 'a/b/settings/prod.py', 'a/b/settings/x.txt']
  assert.deepEqual(await of('a.b.settings.prod', split), split.slice(0, 2))
  assert.deepEqual(await of('none.settings', []), [])
})
