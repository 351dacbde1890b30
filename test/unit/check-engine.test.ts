import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { BuilderChoice } from '../../src/config.js'
import { checkEngine } from '../../src/engine/docker/check-engine.js'
import { Dockerode } from '../../src/engine/docker/dockerode.js'
import {
  ENGINE_PROBLEMS,
  EngineError,
  type EngineProblem,
  refusal,
} from '../../src/engine/docker/engine-error.js'
import { ENGINE_HOST } from '../support/docker.js'
import { UNLIMITED } from '../support/docker-engines.js'
import { freePort } from '../support/server.js'
import { DOCKER_19, PODMAN_4, StandInEngine, type VersionAnswer } from '../support/stand-in-engine.js'

const run = promisify(execFile)
const IS_ROOT = process.getuid?.() === 0
const NOBODY = 65_534

function portOf(dockerHost: string, builder: BuilderChoice = 'auto'): Dockerode {
  return new Dockerode({ dockerHost, builder, buildSilenceMs: 10_000, dockerTimeoutMs: 10_000, ...UNLIMITED })
}

/** Asked by the code that scripts use, and by the one that a worker uses: both say the same. */
async function saysOf(host: string, builder: BuilderChoice = 'auto'): Promise<[EngineProblem, string]> {
  const asked = [checkEngine(host, builder), portOf(host, builder).ping()]
  const [one, other] = await Promise.all(asked.map((answer) => answer.then(String, (error: Error) => error)))
  assert.ok(one instanceof EngineError, String(one))
  assert.ok(other instanceof EngineError, String(other))
  assert.equal(one.message, other.message)
  assert.equal(one.code, 'DOCKER_UNREACHABLE')
  assert.ok(one.message.startsWith(`${ENGINE_PROBLEMS[one.problem]}: `), one.message)
  return [one.problem, one.message.slice(ENGINE_PROBLEMS[one.problem].length + 2)]
}

async function saysOfAnswer(
  answer: VersionAnswer,
  builder?: BuilderChoice,
): Promise<[EngineProblem, string]> {
  await using engine = await StandInEngine.start(answer)
  return await saysOf(engine.host, builder)
}

describe('what is wrong with an engine', () => {
  test('is nothing: it tells its version', async () => {
    assert.match(await checkEngine(ENGINE_HOST, 'buildkit'), /^\d+\.\d+/)
    assert.equal(await portOf(ENGINE_HOST).ping(), await checkEngine(ENGINE_HOST, 'auto'))
  })

  test('is that nobody is there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'longshore-nobody-'))
    writeFileSync(join(folder, 'file'), '')
    const port = await freePort()
    const advice = '. Start it, or set DOCKER_HOST'
    for (const [host, details] of [
      [`unix://${folder}/none`, `there is no socket ${folder}/none${advice}`],
      [`unix://${folder}/file/none`, `there is no socket ${folder}/file/none${advice}`],
      [`unix://${folder}/file`, `nothing listens at ${folder}/file${advice}`],
      [`tcp://127.0.0.1:${port}`, `nothing listens at 127.0.0.1:${port}${advice}`],
    ] as const) {
      assert.deepEqual(await saysOf(host), ['AWAY', details])
    }
    const [problem, details] = await saysOf(`tcp://localhost:${port}`)
    assert.match(`${problem} ${details}`, new RegExp(`^AWAY nothing listens at \\S+:${port}\\.`))
    rmSync(folder, { recursive: true })
  })

  test('is that no machine has its name, for every call', async () => {
    const host = 'tcp://engine.invalid:2375'
    const [problem, details] = await saysOf(host)
    assert.equal(problem, 'AWAY')
    assert.match(details, /engine\.invalid/)
    await assert.rejects(portOf(host).findContainer('x'), { code: 'DOCKER_UNREACHABLE' })
  })

  test('is that something else answers', async () => {
    for (const body of [
      '<html>It works!</html>',
      '',
      'null',
      '[]',
      { version: '1.2' },
      { ApiVersion: '1.41' },
    ]) {
      const [problem, details] = await saysOfAnswer({ body })
      assert.deepEqual([problem, /without a version/.test(details)], ['FOREIGN', true], JSON.stringify(body))
    }
    const missing = await saysOfAnswer({ status: 404, body: 'no such page' })
    assert.deepEqual(missing, ['FOREIGN', 'it answers GET /version with 404. Is DOCKER_HOST right?'])
  })

  test('is that what answers speaks no HTTP', async () => {
    await using server = createServer((socket) => {
      socket.on('error', () => undefined).end('SSH-2.0-OpenSSH_9.2\r\n')
      socket.resume()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const [problem, details] = await saysOf(`tcp://127.0.0.1:${port}`)
    assert.equal(problem, 'FOREIGN')
    assert.match(details, /does not speak HTTP/)
    const [same, withTls] = await saysOf(`https://127.0.0.1:${port}`)
    assert.deepEqual([same, /does not speak TLS/.test(withTls)], ['FOREIGN', true])
  })

  test('is that it wants TLS', async () => {
    const body = 'Client sent an HTTP request to an HTTPS server.'
    const [problem, details] = await saysOfAnswer({ status: 400, body })
    assert.equal(problem, 'WANTS_TLS')
    assert.ok(details.startsWith(body), details)
  })

  test('is that it refuses, or fails', async () => {
    const refused = await saysOfAnswer({ status: 403, body: '{"message":"authorization denied by plugin"}' })
    assert.deepEqual(refused, ['REFUSES', 'it answers 403: {"message":"authorization denied by plugin"}'])
    assert.deepEqual(await saysOfAnswer({ status: 503, body: 'paused' }), ['AWAY', 'it answers 503: paused'])
  })

  test('is that it is too old', async () => {
    const needs = 'and Longshore needs Docker 20.10 (API 1.41) or newer'
    const old = await saysOfAnswer({ body: DOCKER_19 })
    assert.deepEqual(old, ['OLD', `it is Docker 19.03.15 (API 1.40), ${needs}`])
    const podman = { ...PODMAN_4, Version: '3.4.4', ApiVersion: '1.40' }
    assert.deepEqual(await saysOfAnswer({ body: podman }), ['OLD', `it is Podman 3.4.4 (API 1.40), ${needs}`])
    for (const ApiVersion of ['1.41', '1.56', '2.0']) {
      await using engine = await StandInEngine.start({ body: { ...DOCKER_19, ApiVersion } })
      assert.equal(await checkEngine(engine.host, 'buildkit'), '19.03.15')
    }
  })

  test('is that it has no BuildKit, where that is asked for', async () => {
    const without = await saysOfAnswer({ body: PODMAN_4 }, 'buildkit')
    assert.deepEqual(without, [
      'NO_BUILDKIT',
      'it is Podman 4.3.1 (API 1.41), and BUILDER=buildkit. Set BUILDER=classic, or auto',
    ])
    const windows = { ...DOCKER_19, ApiVersion: '1.51', Os: 'windows' }
    assert.equal((await saysOfAnswer({ body: windows }, 'buildkit'))[0], 'NO_BUILDKIT')
    await using engine = await StandInEngine.start({ body: PODMAN_4 })
    for (const builder of ['auto', 'classic'] as const)
      assert.equal(await portOf(engine.host, builder).ping(), '4.3.1')
  })

  test('is the same one whatever DOCKER_HOST says: a worker asks the engine that it was given', async () => {
    await using engine = await StandInEngine.start({ body: PODMAN_4 })
    const before = process.env.DOCKER_HOST
    process.env.DOCKER_HOST = `tcp://127.0.0.1:${await freePort()}`
    const docker = portOf(engine.host)
    if (before === undefined) delete process.env.DOCKER_HOST
    else process.env.DOCKER_HOST = before
    assert.equal(await docker.findImage('none'), null)
  })
})

/** What another process is told that has given up root's rights, so that the kernel really refuses it. */
async function asNobody(host: string): Promise<string> {
  const module = new URL('../../src/engine/docker/check-engine.js', import.meta.url).href
  const script = `
    import { checkEngine } from ${JSON.stringify(module)}
    if (process.getuid() === 0) {
      process.setgroups([])
      process.setegid(${NOBODY})
      process.seteuid(${NOBODY})
    }
    const says = await checkEngine(${JSON.stringify(host)}, 'auto').catch((error) => error.message)
    process.stdout.write(says)`
  return (await run(process.execPath, ['--input-type=module', '--eval', script])).stdout
}

describe('an engine that refuses the user', () => {
  const says = async (prepare: (socket: string) => void) => {
    await using engine = await StandInEngine.start({ body: PODMAN_4 })
    chmodSync(join(engine.socket, '..'), 0o755)
    prepare(engine.socket)
    return (await asNobody(engine.host)).replaceAll(engine.socket, 'SOCKET')
  }

  test('is there: that is said, and not that none answers', async () => {
    assert.equal(await says((socket) => chmodSync(socket, 0o777)), '4.3.1', 'without that it answers')
    assert.match(
      await says((socket) => chmodSync(socket, 0o400)),
      /^the Docker engine refuses this user: the socket SOCKET exists, but the user \S+ \(uid \d+\) may not use it: only its owner may\. .*rootless/,
    )
  })

  test(
    'says to which group it has to belong',
    { skip: !IS_ROOT && 'needs root: gives a socket away' },
    async () => {
      const given = (gid: number) => (socket: string) => {
        chmodSync(socket, 0o660)
        chownSync(socket, 0, gid)
      }
      const named =
        /the user is not in the group daemon\. As root: usermod -aG daemon nobody, then log in again; or use rootless/
      assert.match(await says(given(1)), named)
      assert.match(await says(given(54_321)), /it belongs to the group 54321\. .*group_add/)
      assert.match(await says(given(0)), /only its owner may/)
    },
  )

  test('is said to be behind a folder that may not be entered', async () => {
    const told = await says((socket) => chmodSync(join(socket, '..'), 0))
    assert.match(
      told,
      /^the Docker engine refuses this user: SOCKET is in a folder that the user \S+ \(uid \d+\) cannot access/,
    )
  })

  test('takes a member of its group from the next login on', () => {
    const folder = mkdtempSync(join(tmpdir(), 'longshore-group-'))
    const [socket, groups] = [join(folder, 'socket'), join(folder, 'group')]
    writeFileSync(socket, '')
    chmodSync(socket, 0o660)
    if (IS_ROOT) chownSync(socket, 0, NOBODY)
    const { gid } = statSync(socket)
    writeFileSync(groups, `root:x:0:\ndocker:x:${gid}:ann,${userInfo().username}\n`)
    assert.match(
      refusal(socket, groups),
      /the user joined the group docker after this session began\. Log in again$/,
    )
    writeFileSync(groups, `docker:x:${gid}:ann\n`)
    assert.match(
      refusal(socket, groups),
      /the user is not in the group docker\. As root: usermod -aG docker /,
    )
    rmSync(folder, { recursive: true })
  })
})
