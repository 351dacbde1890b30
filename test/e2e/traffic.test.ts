import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { followLog, graphql, readDeployment, readEvents, tryGraphql, updateStage } from '../support/client.js'
import { docker, inspectContainer } from '../support/docker.js'
import { GATE, openGate } from '../support/gate.js'
import { webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'
import { QUICK, scripted, SERVE, serving } from '../support/serving.js'

describe('traffic', () => {
  let installation: Installation
  let port = 0

  before(async () => {
    installation = await Installation.create()
    port = installation.port
    await installation.start({ WATCH_SECONDS: '6', DRAIN_SECONDS: '1', ROUTER_CONFIRM_SECONDS: '3' })
  })
  after(() => installation[Symbol.asyncDispose]())

  const page = async (app: string) => (await installation.fetch(`${app}.localhost`)).body

  async function status(id: string): Promise<string> {
    return (await readDeployment(port, id)).status
  }

  test('does not move to what ends, is killed, or listens in the wrong place; the error says which', async () => {
    await using app = await serving(installation, 'guarded', webApp('good'))
    const ends = await app.next(scripted('echo last words; exit 3', 'bad'))
    const { error } = await readDeployment(port, ends.id)
    assert.deepEqual([error?.code, error?.exitCode, error?.lastLines], ['EXITED', 3, ['last words']])

    const wrong = await app.next(scripted('exec busybox httpd -f -p 127.0.0.1:8080 -h /www', 'bad'))
    const { error: where } = await readDeployment(port, wrong.id)
    assert.equal(where?.code, 'UNHEALTHY')
    assert.match(where.message, /it listens on 127\.0\.0\.1:8080, must be 0\.0\.0\.0:8080/)

    await updateStage(port, app.appId, { limits: { memoryBytes: 16 * 1024 * 1024 } })
    const eats = await app.next(scripted('busybox tail /dev/zero', 'bad'))
    assert.equal((await readDeployment(port, eats.id)).error?.code, 'OUT_OF_MEMORY')
    assert.equal(await page('guarded'), 'good')
    assert.equal(await status(app.first), 'RUNNING')
  })

  test('waits for the HTTP path, and for the image’s own check', async () => {
    await using app = await serving(installation, 'checked', webApp('good'), {
      ...QUICK,
      path: '/index.html',
    })
    await updateStage(port, app.appId, { healthCheck: { path: '/missing' } })
    const missing = await app.next({ 'www/index.html': 'bad' })
    const { error } = await readDeployment(port, missing.id)
    assert.match(error?.message ?? '', /GET \/missing answered 404/)

    await updateStage(port, app.appId, { healthCheck: { path: null } })
    const check = 'HEALTHCHECK --interval=1s --retries=1 CMD ["/bin/busybox", "test", "-e", "/www/well"]'
    const sick = await app.next(scripted(SERVE, 'bad', check))
    const { error: own } = await readDeployment(port, sick.id)
    assert.match(own?.message ?? '', /its HEALTHCHECK fails with exit code 1$/)
    const absent = 'HEALTHCHECK --interval=1s --retries=1 CMD ["curl", "--fail", "http://localhost:8080/"]'
    const blind = await app.next(scripted(SERVE, 'bad', absent))
    const { error: unfound } = await readDeployment(port, blind.id)
    assert.match(unfound?.message ?? '', /HEALTHCHECK fails with exit code .*curl.*executable file not found/)
    const well = await app.next({ ...scripted(SERVE, 'well page', check), 'www/well': '' })
    assert.equal(well.end, 'RUNNING', well.log)
    assert.equal(await page('checked'), 'well page')
    // The engine would run it for the first time after ten minutes, long after the deadline.
    const rare = check.replace('1s', '10m')
    const soon = await app.next({ ...scripted(SERVE, 'soon page', rare), 'www/well': '' })
    assert.equal(soon.end, 'RUNNING', soon.log)
    assert.equal(await page('checked'), 'soon page')
  })

  test('a version that has to stay healthy for a while and does not gets none', async () => {
    await using app = await serving(installation, 'stable', webApp('good'))
    await updateStage(port, app.appId, { healthCheck: { stableSeconds: 3, deadlineSeconds: 10 } })
    const brief = await app.next(scripted('busybox httpd -p 8080 -h /www; sleep 1', 'bad'))
    assert.equal(brief.end, 'FAILED')
    assert.equal((await readDeployment(port, brief.id)).error?.code, 'EXITED')
    assert.equal(await page('stable'), 'good')
  })

  test('goes back to the version before when the new one ends while it is watched, at most once', async () => {
    await using app = await serving(installation, 'watched', webApp('good'))
    const broken = await app.next(scripted(`busybox httpd -p 8080 -h /www; ${GATE}; exit 7`, 'bad'))
    assert.equal(broken.end, 'RUNNING', broken.log)
    openGate(`watched-${broken.id}`)
    await until(async () => (await status(broken.id)) === 'ROLLED_BACK')
    assert.equal(await page('watched'), 'good')
    assert.equal(await status(app.first), 'RUNNING')
    const { error } = await readDeployment(port, broken.id)
    assert.equal(error?.code, 'ROLLED_BACK')
    assert.match(error.message, new RegExp(`rolled back to ${app.first}: it exited`))
    assert.equal((await readEvents(port, broken.id)).at(-1), `RUNNING > ROLLED_BACK: ${error.message}`)
    assert.deepEqual((await readEvents(port, app.first)).slice(-2), [
      `RUNNING > RETIRED: replaced by ${broken.id}`,
      `RETIRED > RUNNING: ${broken.id} failed; serving again`,
    ])
    await until(async () => !(await installation.containers()).includes(`watched-${broken.id}`))
    assert.ok((await installation.containers()).includes(`watched-${app.first}`))
  })

  test('goes back when the new one becomes unhealthy', async () => {
    await using app = await serving(installation, 'sickly', webApp('good'), { ...QUICK, path: '/index.html' })
    const sick = await app.next(scripted(`(${GATE}; busybox rm /www/index.html) & ${SERVE}`, 'bad'))
    assert.equal(sick.end, 'RUNNING', sick.log)
    openGate(`sickly-${sick.id}`)
    await until(async () => (await status(sick.id)) === 'ROLLED_BACK')
    assert.match(
      (await readDeployment(port, sick.id)).error?.message ?? '',
      /became unhealthy: GET \/index.html/,
    )
    assert.equal(await page('sickly'), 'good')
  })

  test('rolls back by hand without a build, with that release’s configuration', async () => {
    await using app = await serving(installation, 'returned', webApp('one'))
    await updateStage(port, app.appId, { limits: { pids: 99 } })
    const second = await app.next({ 'www/index.html': 'two' })
    assert.equal(await page('returned'), 'two')
    const ROLLBACK =
      'mutation ($id: ID!, $to: ID) { rollback(appId: $id, toDeploymentId: $to) { id trigger commitSha } }'
    const { rollback } = await graphql<{ rollback: { id: string; trigger: string } }>(port, ROLLBACK, {
      id: app.appId,
    })
    assert.equal(rollback.trigger, 'ROLLBACK')
    const log = (await followLog(port, rollback.id)).map((event) => event.text).join('')
    assert.match(log, /without a build/)
    assert.equal(await page('returned'), 'one')
    const { HostConfig } = await inspectContainer<{ HostConfig: { PidsLimit: number } }>(
      `returned-${rollback.id}`,
    )
    assert.equal(HostConfig.PidsLimit, 512)
    const never = await tryGraphql(port, ROLLBACK, { id: app.appId, to: 'nope' })
    assert.equal(never.errors?.[0]?.extensions.code, 'NOT_FOUND')
    docker('rm', '-f', `returned-${second.id}`)
    docker('rmi', '-f', `mvp-returned:${second.id}`)
    const gone = await graphql<{ rollback: { id: string } }>(port, ROLLBACK, { id: app.appId, to: second.id })
    await followLog(port, gone.rollback.id)
    assert.equal((await readDeployment(port, gone.rollback.id)).error?.code, 'IMAGE_GONE')
    assert.equal(await page('returned'), 'one')
  })

  test('is shared by replicas, which move together', async () => {
    await using app = await serving(
      installation,
      'many',
      scripted(`busybox hostname > /www/index.html; ${SERVE}`),
    )
    await updateStage(port, app.appId, { replicas: 3 })
    const { id, end, log } = await app.next()
    assert.equal(end, 'RUNNING', log)
    const seen = new Set<string>()
    for (let count = 0; count < 12; count++) seen.add(await page('many'))
    assert.equal(seen.size, 3)
    const replicas = (await installation.containers()).filter((name) => name.startsWith(`many-${id}`))
    assert.equal(replicas.length, 3)
  })

  test('reaches the user’s domains at once, and each belongs to one stage', async () => {
    await using app = await serving(installation, 'domained', webApp('mine'))
    await using other = await serving(installation, 'other', webApp('theirs'))
    const ADD = `mutation ($id: ID!, $host: String!) { addDomain(stageId: $id, host: $host) { domains { host } } }`
    const add = (id: string, host: string) =>
      tryGraphql<{ addDomain: { domains: { host: string }[] } }>(port, ADD, { id, host })
    const { data } = await add(app.stageId, 'Shop.Example.COM')
    assert.deepEqual(data?.addDomain.domains, [{ host: 'shop.example.com' }])
    await until(async () => (await installation.fetch('shop.example.com')).body === 'mine')
    assert.equal((await installation.fetch('www.shop.example.com')).status, 308)
    assert.equal((await add(other.stageId, 'shop.example.com')).errors?.[0]?.extensions.code, 'CONFLICT')
    for (const host of ['localhost', 'x.localhost', '10.0.0.1', 'a`b.com', 'nope', '*.a.com']) {
      const refused = (await add(app.stageId, host)).errors?.[0]
      assert.deepEqual(
        [refused?.extensions.code, refused?.extensions.field],
        ['BAD_USER_INPUT', 'host'],
        host,
      )
    }
    assert.deepEqual((await add(app.stageId, 'bücher.example')).data?.addDomain.domains[0], {
      host: 'shop.example.com',
    })
    const REMOVE = `mutation ($id: ID!, $host: String!) { removeDomain(stageId: $id, host: $host) { domains { host } } }`
    const left = await graphql<{ removeDomain: { domains: object[] } }>(port, REMOVE, {
      id: app.stageId,
      host: 'shop.example.com',
    })
    assert.deepEqual(left.removeDomain.domains, [{ host: 'xn--bcher-kva.example' }])
  })
})
