import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../../../', import.meta.url)
const COMPOSE = readFileSync(new URL('compose.yaml', ROOT), 'utf8')
const FILE = fileURLToPath(new URL('compose.yaml', ROOT))
const EXAMPLE = readFileSync(new URL('.env.example', ROOT), 'utf8')

/** The text of each service, by name: all that its own lines say, without what an anchor brings. */
function services(): Map<string, string> {
  const [, body = ''] = /^services:\n([\s\S]*?)^\S/m.exec(COMPOSE) ?? []
  const parts = body.split(/^ {2}(?=[a-z]+:$)/m).filter((part) => part.trim() !== '')
  return new Map(parts.map((part) => [part.slice(0, part.indexOf(':')), part]))
}

describe('compose.yaml', () => {
  test('has these services, and the Docker socket in the worker alone', () => {
    const found = services()
    assert.deepEqual([...found.keys()], ['api', 'worker', 'postgres', 'traefik'])
    const withSocket = [...found].filter(([, text]) => text.includes('docker.sock')).map(([name]) => name)
    assert.deepEqual(withSocket, ['worker'])
    assert.equal(COMPOSE.match(/\/var\/run\/docker\.sock:/g)?.length, 1)
  })

  test('gives Traefik the folder to read, and nothing of Docker', () => {
    const traefik = services().get('traefik') ?? ''
    assert.match(traefik, /- routes:\/routes:ro$/m)
    assert.match(traefik, /--providers\.file\.directory=\/routes$/m)
    assert.match(traefik, /--providers\.providersThrottleDuration=100ms$/m)
    assert.doesNotMatch(traefik, /providers\.docker/)
    assert.match(services().get('worker') ?? '', /TRAEFIK_DIR: \/routes$/m)
  })

  test('takes each secret from the environment, which has no default', () => {
    for (const name of ['ADMIN_TOKEN', 'MASTER_KEY', 'POSTGRES_PASSWORD']) {
      const uses = [...COMPOSE.matchAll(new RegExp(`\\$\\{${name}\\b([^}]*)\\}`, 'g'))]
      assert.ok(uses.length > 0, name)
      for (const [, rest = ''] of uses) assert.match(rest, /^:\?/, name)
      assert.match(EXAMPLE, new RegExp(`^${name}=$`, 'm'))
    }
  })

  test('says in .env.example all that it reads', () => {
    const read = new Set([...COMPOSE.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name))
    const said = [...EXAMPLE.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name)
    assert.deepEqual(said.sort(), [...read].sort())
  })

  test('is taken by Docker Compose, and not when what is required is missing', (context) => {
    const compose = composeCommand()
    if (!compose) return context.skip('no Docker Compose here: docker compose, or docker-compose')
    const required = new Set([...COMPOSE.matchAll(/\$\{([A-Z_]+):\?/g)].map(([, name = '']) => name))
    const given = Object.fromEntries([...required].map((name) => [name, '1000']))
    const accepts = (env: Readonly<Record<string, string>>) =>
      spawnSync(compose[0], [...compose.slice(1), '--file', FILE, 'config', '--quiet'], {
        env: { PATH: process.env.PATH, ...env },
        encoding: 'utf8',
      })
    assert.deepEqual([accepts(given).status, accepts(given).stderr], [0, ''])
    assert.match(accepts({ ...given, ADMIN_TOKEN: '' }).stderr, /set it in \.env/)
  })
})

describe('the image of Longshore', () => {
  test('is built in stages, and runs as a user who is not root', () => {
    const dockerfile = readFileSync(new URL('Dockerfile', ROOT), 'utf8')
    const stages = dockerfile.split(/^(?=FROM )/m).filter((part) => part.startsWith('FROM '))
    assert.ok(stages.length >= 2, `${stages.length} stages`)
    const users = [...(stages.at(-1) ?? '').matchAll(/^USER (\S+)$/gm)].map(([, user]) => user)
    assert.equal(users.length, 1)
    assert.doesNotMatch(users[0] ?? '', /^(root|0)(:|$)/)
    assert.match(stages.at(-1) ?? '', /^COPY --from=build /m)
  })
})

/** Version 2, which is a part of docker, else version 1. */
function composeCommand(): readonly [string, ...string[]] | null {
  const commands = [['docker', 'compose'], ['docker-compose']] as const
  return commands.find(([program, ...rest]) => spawnSync(program, [...rest, 'version']).status === 0) ?? null
}
