import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

// dist/test → the project's root
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SRC = join(ROOT, 'src')

interface Module {
  /** Below src/, as `engine/queue/claim.ts`. */
  readonly path: string
  readonly text: string
  /** Files of src/ that it imports, types included. */
  readonly imports: string[]
  /** Of those, the ones that are loaded when it runs. */
  readonly loads: string[]
  readonly packages: string[]
}

const MODULES = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map(readModule)
const BY_PATH = new Map(MODULES.map((module) => [module.path, module]))

/** Which folder may import which. `.` are the files directly in src/. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  entities: ['entities'],
  postgres: ['postgres', '.'],
  engine: ['engine', 'entities', '.'],
  schema: ['schema', 'entities'],
  resolvers: ['resolvers', 'schema', 'engine', 'entities', '.'],
  http: ['http', 'resolvers', 'engine', 'entities', '.'],
}
/** Of the files in src/ these are for everybody; the others wire the program. */
const COMMON = ['config.ts', 'environment.ts', 'logger.ts', 'process.ts', 'disposal.ts', 'durable-file.ts']

describe('layers', () => {
  for (const module of MODULES.filter(({ path }) => path.includes('/'))) {
    test(`${module.path} imports only what its layer may`, () => {
      for (const imported of module.imports) {
        const layer = folderOf(imported)
        assert.ok(MAY_IMPORT[folderOf(module.path)]?.includes(layer), `${module.path} imports ${imported}`)
        if (layer === '.') assert.ok(COMMON.includes(imported), `${module.path} imports ${imported}`)
      }
    })
  }

  test('no file imports itself by a round trip, types included', () => {
    assert.deepEqual(findCycle(MODULES), null)
  })

  test('no room of the engine needs one that needs it', () => {
    const engine = MODULES.filter(({ path }) => path.startsWith('engine/'))
    const rooms = engine.map(({ path, imports }) => ({ path: roomOf(path), imports: imports.map(roomOf) }))
    const names = [...new Set(rooms.map(({ path }) => path))]
    const importsOf = (room: string) =>
      rooms.filter(({ path }) => path === room).flatMap(({ imports }) => imports)
    const merged = names.map((path) => ({ path, imports: importsOf(path).filter((other) => other !== path) }))
    assert.deepEqual(findCycle(merged), null)
  })

  test('the API role loads neither dockerode nor git nor the engine loop', () => {
    const loaded = reach('api.ts')
    for (const path of ['engine/docker/dockerode.ts', 'engine/git/git-binary.ts', 'engine/engine.ts']) {
      assert.ok(BY_PATH.has(path), `${path} has moved: correct this test`)
      assert.ok(!loaded.has(path), `api.ts loads ${path}`)
    }
  })

  test('adapters import no step and not each other', () => {
    const adapters = ['engine/git/', 'engine/docker/', 'engine/routing/', 'engine/forges/']
    for (const { path, imports } of MODULES) {
      const own = adapters.find((adapter) => path.startsWith(adapter))
      if (!own) continue
      const others = ['engine/steps/', ...adapters.filter((adapter) => adapter !== own)]
      const wrong = imports.filter((imported) => others.some((other) => imported.startsWith(other)))
      assert.deepEqual(wrong, [], path)
    }
  })

  test('steps are the recipe’s own', () => {
    const users = MODULES.filter(({ path, imports }) => {
      const isOutside = !path.startsWith('engine/steps/')
      return isOutside && imports.some((imported) => imported.startsWith('engine/steps/'))
    })
    assert.deepEqual(
      users.map(({ path }) => path),
      ['engine/deploy.ts', 'engine/engine.ts'],
    )
    assert.ok((BY_PATH.get('engine/deploy.ts')?.text ?? '').split('\n').length <= 100, 'one screen')
  })

  test('resolvers and http write only through commands', () => {
    const writing = /\b(INSERT INTO|UPDATE|DELETE FROM)\b|getRepository|\.(save|insert|transaction)\(/
    for (const { path, text } of MODULES.filter(({ path: at }) => /^(resolvers|http)\//.test(at))) {
      assert.doesNotMatch(text, writing, path)
    }
  })
})

describe('one owner for each outside thing', () => {
  const owners: readonly [what: string, uses: (module: Module) => boolean, owners: readonly string[]][] = [
    ['dockerode', has('dockerode'), ['engine/docker/']],
    ["forges' APIs", has('undici'), ['engine/forges/']],
    ['child processes', has('node:child_process'), ['process.ts']],
    ['process.env', ({ text }) => /process\.env\b/.test(text), ['config.ts', 'environment.ts']],
    [
      "Traefik's label names",
      ({ text }) => /traefik\.(enable|http)/.test(text),
      ['engine/routing/labels.ts'],
    ],
    [
      "Traefik's dynamic configuration",
      ({ text }) =>
        /\b(passHostHeader|loadBalancer:|middlewares:|redirect(Regex|Scheme))|Host\(\\?`/.test(text),
      ['engine/routing/labels.ts', 'engine/routing/traefik-dynamic.ts'],
    ],
    ['type-graphql', has('type-graphql'), ['schema/', 'resolvers/']],
    ['Fastify', has('fastify'), ['http/']],
    ['WebSockets', has('ws'), ['http/subscriptions.ts', 'http/fan-out/client-connection.ts']],
    [
      'the status of a deployment',
      ({ text }) => /UPDATE deployment( d)?\s+SET status/i.test(text),
      ['engine/queue/', 'engine/traffic/switch.ts'],
    ],
  ]
  for (const [what, uses, allowed] of owners) {
    test(`${what}: ${allowed.join(', ')}`, () => {
      const users = MODULES.filter(uses).map(({ path }) => path)
      assert.ok(users.length > 0, 'nobody uses it any more: correct this test')
      assert.deepEqual(
        users.filter((path) => !allowed.some((owner) => path.startsWith(owner))),
        [],
      )
    })
  }

  test('only dockerode.ts loads dockerode; the files beside it take types', () => {
    const loading = MODULES.filter(({ text }) => /import (?!type )[^;]*? from 'dockerode'/.test(text))
    assert.deepEqual(
      loading.map(({ path }) => path),
      ['engine/docker/dockerode.ts'],
    )
  })

  test('only client.ts opens connections to the Docker engine', () => {
    const dialling = MODULES.filter(
      ({ path, text }) =>
        path.startsWith('engine/docker/') &&
        /import (?!type )[^;]*? from 'node:(http|https|net|tls)'/.test(text),
    )
    assert.deepEqual(
      dialling.map(({ path }) => path),
      ['engine/docker/client.ts'],
    )
  })

  test('nothing runs a shell', () => {
    for (const { path, text } of MODULES) assert.doesNotMatch(text, /shell: true|\bexec(Sync)?\(['"`]/, path)
  })
})

test('rows are locked so that others may refer to them: the strongest lock has made deploys and rescues deadlock', () => {
  for (const { path, text } of MODULES) assert.doesNotMatch(text, /\bFOR UPDATE\b|pessimistic_write/, path)
})

test('no file is longer than 260 lines', () => {
  for (const { path, text } of MODULES) assert.ok(text.split('\n').length <= 260, path)
})

function has(name: string) {
  return ({ packages }: Module) => packages.some((used) => used === name || used.startsWith(`${name}/`))
}

function readModule(path: string): Module {
  const text = readFileSync(join(SRC, path), 'utf8')
  const found = [...text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'"]*?\sfrom\s+)?'([^']+)'/gm)]
  const dynamic = [...text.matchAll(/\bimport\('([^']+)'\)/g)].map((match) => match[1] ?? '')
  const local = (specifier: string) =>
    relative(SRC, join(SRC, dirname(path), specifier)).replace(/\.js$/, '.ts')
  const specifiers = found.map((match) => ({ isType: match[1] !== undefined, name: match[2] ?? '' }))
  const own = specifiers.filter(({ name }) => name.startsWith('.'))
  return {
    path,
    text,
    imports: [
      ...own.map(({ name }) => local(name)),
      ...dynamic.filter((name) => name.startsWith('.')).map(local),
    ],
    loads: own.filter(({ isType }) => !isType).map(({ name }) => local(name)),
    packages: specifiers.map(({ name }) => name).filter((name) => !name.startsWith('.')),
  }
}

function folderOf(path: string): string {
  return path.startsWith('..') ? path : path.includes('/') ? (path.split('/')[0] ?? '') : '.'
}

function reach(start: string, seen = new Set<string>()): Set<string> {
  if (seen.has(start)) return seen
  seen.add(start)
  for (const next of BY_PATH.get(start)?.loads ?? []) reach(next, seen)
  return seen
}

/** A folder of the engine's; a file that lies directly in the engine is a room of its own. */
function roomOf(path: string): string {
  return /^engine\/[^/]+\//.exec(path)?.[0] ?? path
}

function findCycle(graph: readonly Pick<Module, 'path' | 'imports'>[]): string[] | null {
  const importsOf = new Map(graph.map(({ path, imports }) => [path, imports]))
  const finished = new Set<string>()
  const visit = (path: string, trail: string[]): string[] | null => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (finished.has(path)) return null
    for (const next of importsOf.get(path) ?? []) {
      const cycle = visit(next, [...trail, path])
      if (cycle) return cycle
    }
    finished.add(path)
    return null
  }
  for (const { path } of graph) {
    const cycle = visit(path, [])
    if (cycle) return cycle
  }
  return null
}
