import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTree } from '../../src/engine/detect/tree.js'
import type { Source } from '../../src/engine/git/git.js'

const NEVER = new AbortController().signal

/** Only what a tree is read with. */
function contextOf(files: Readonly<Record<string, string>>, folder = '') {
  const read = (path: string, _signal: AbortSignal, bytes = Infinity) =>
    Promise.resolve((files[path.slice(folder.length)] ?? assert.fail(path)).slice(0, bytes))
  const entries = Object.keys(files).map((path) => [path, { kind: 'file' }] as const)
  return { source: { read } as Partial<Source> as Source, files: new Map(entries) }
}

test('of each file the beginning is read, but for JSON', async () => {
  const long = 'x'.repeat(100_000)
  const names = ['package.json', 'angular.json', 'requirements.txt', 'Procfile', 'pnpm-lock.yaml', 'main.go']
  const files = Object.fromEntries(names.map((name) => [name, long]))
  const { texts } = await readTree(contextOf(files, 'web/'), 'web', NEVER)
  const lengths = names.map((name) => texts.get(name)?.length)
  assert.deepEqual(lengths, [100_000, 100_000, 65_536, 65_536, 65_536, 65_536])
})

test('of Django the settings are read, wherever manage.py says they are', async () => {
  const manage = (module: string) => `setdefault('DJANGO_SETTINGS_MODULE', '${module}')`
  const of = async (module: string, paths: readonly string[]) => {
    const files = Object.fromEntries(paths.map((path) => [path, 'text']))
    const { texts } = await readTree(contextOf({ 'manage.py': manage(module), ...files }), '.', NEVER)
    return [...texts.keys()].filter((path) => path !== 'manage.py')
  }
  assert.deepEqual(await of('mysite.settings', ['mysite/settings.py', 'mysite/urls.py', 'x/settings.py']), [
    'mysite/settings.py',
  ])
  const split = ['a/b/settings/base.py', 'a/b/settings/prod.py', 'a/b/settings/x.txt']
  assert.deepEqual(await of('a.b.settings.prod', split), split.slice(0, 2))
  assert.deepEqual(await of('none.settings', []), [])
})
