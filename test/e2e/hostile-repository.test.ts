import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { createApp, deploy, followLog, graphql, readDeployment, updateStage } from '../support/client.js'
import { docker, inspectContainer } from '../support/docker.js'
import { UPDATE_APP } from '../support/mutations.js'
import { freshStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

/** What a command that broke out would leave behind. */
const PWNED = '/tmp/longshore-pwned-by-repository'

/** An app whose image asks for a user, a volume and ports. */
function greedy(page: string): Record<string, string> {
  const files = webApp(page)
  const wishes = 'USER 0\nVOLUME /data\nEXPOSE 22 2375/tcp 53/udp 65535\n'
  return { ...files, Dockerfile: `${files.Dockerfile}${wishes}` }
}

/** What is asked about a container. */
interface Made {
  readonly HostConfig: Readonly<Record<string, unknown>>
  readonly NetworkSettings: { readonly Ports: Readonly<Record<string, unknown>> }
  readonly Mounts: readonly { readonly Type: string; readonly Name: string; readonly Destination: string }[]
}

function volumes(): string[] {
  return docker('volume', 'ls', '--quiet').split('\n')
}

/** The numbers are those of the classes in which the published vulnerabilities of such systems fall. */
describe('the shapes of published exploits, in a repository,', () => {
  let installation: Installation
  let port = 0
  let appId = ''
  const repository = new TestRepository(greedy('steady'))

  before(async () => {
    rmSync(PWNED, { force: true })
    installation = await Installation.create()
    port = installation.port
    await installation.start()
    const created = await createApp(port, { name: 'target', repoUrl: repository.url })
    appId = created.appId
    await followLog(port, created.deploymentId)
  })
  after(async () => {
    await installation[Symbol.asyncDispose]()
    repository[Symbol.dispose]()
    rmSync(PWNED, { force: true })
  })

  test('1: commands in paths, messages, health paths and values are text and nothing else', async () => {
    const dockerfilePath = `docker;touch ${PWNED.slice(5)}`
    const contextPath = `$(touch ${PWNED.slice(5)})`
    const files = Object.entries(webApp('harmless')).map(([path, text]) => {
      return [`${contextPath}/${path === 'Dockerfile' ? dockerfilePath : path}`, text] as const
    })
    const harmless = new TestRepository({})
    harmless.commit(Object.fromEntries(files), `$(touch ${PWNED}) \`touch ${PWNED}\``)
    try {
      const variables = [{ key: 'VALUE', value: `$(touch ${PWNED}); 'x' "y" \n\`id\`` }]
      const input = {
        name: 'harmless',
        repoUrl: harmless.url,
        dockerfilePath,
        contextPath,
        variables,
        deploy: false,
      }
      const created = await createApp(port, input)
      await updateStage(port, created.appId, { healthCheck: { path: '/index.html?$(id);x=1' } })
      const id = await deploy(port, created.appId)
      await followLog(port, id)
      assert.equal((await readDeployment(port, id)).error, null)
      assert.equal((await installation.fetch('harmless.localhost')).body, 'harmless')
      const { Config } = await inspectContainer<{ Config: { Env: string[] } }>(`harmless-${id}`)
      assert.ok(Config.Env.includes(`VALUE=${variables[0]?.value}`))
      assert.ok(!existsSync(PWNED))
      await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: created.appId })
    } finally {
      harmless[Symbol.dispose]()
    }
  })

  test('5: links out of the repository are followed by nobody', async () => {
    using linked = new TestRepository(webApp('inside'))
    linked.link('outside', '/etc')
    linked.link('Passwd', '/etc/passwd')
    linked.git('add', '-A')
    linked.git('commit', '-qm', 'links')
    const { appId: id } = await createApp(port, { name: 'linked', repoUrl: linked.url, deploy: false })
    const tries: [input: object, code: string][] = [
      [{ dockerfilePath: 'Passwd', contextPath: '.' }, 'DOCKERFILE_NOT_FOUND'],
      [{ dockerfilePath: 'outside/passwd', contextPath: '.' }, 'DOCKERFILE_NOT_FOUND'],
      [{ dockerfilePath: 'Dockerfile', contextPath: 'outside' }, 'CONTEXT_NOT_FOUND'],
    ]
    for (const [input, code] of tries) {
      await graphql(port, UPDATE_APP, { id, input })
      const deployment = await deploy(port, id)
      const log = (await followLog(port, deployment)).map(({ text }) => text).join('')
      assert.equal((await readDeployment(port, deployment)).error?.code, code)
      assert.ok(!log.includes('root:'))
    }
    await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id })
  })

  test('6: a container has the options that it is made with, whatever its image asks for', async () => {
    const name = (await installation.containers()).find((one) => one.startsWith('target-')) ?? ''
    const made = await inspectContainer<Made>(name)
    const held = { Privileged: false, NetworkMode: 'longshore', PidMode: '', IpcMode: 'private', UTSMode: '' }
    for (const [key, value] of Object.entries({
      ...held,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
    })) {
      assert.deepEqual(made.HostConfig[key], value, key)
    }
    const published = Object.values(made.NetworkSettings.Ports)
    assert.ok(published.length > 4 && published.every((port) => port === null), 'no port of the host')
    // A volume of its own, which nobody can name, is all that an image can have.
    const [mount, ...more] = made.Mounts
    assert.deepEqual([mount?.Type, mount?.Destination, more], ['volume', '/data', []])
    const next = await deploy(port, appId)
    await followLog(port, next)
    await until(async () => !(await installation.containers()).includes(name))
    assert.ok(!volumes().includes(mount?.Name ?? ''), 'it goes with its container')
    const [left] = (await installation.containers()).filter((one) => one.startsWith('target-'))
    assert.equal(left, `target-${next}`)
  })

  test('13: labels of an image that would route are refused', async () => {
    const labelled = webApp('labelled', [freshStep('true')])
    const label = 'LABEL traefik.http.routers.evil.rule="Host(`target.localhost`)"\n'
    repository.commit({ ...labelled, Dockerfile: `${labelled.Dockerfile}${label}` })
    const id = await deploy(port, appId)
    await followLog(port, id)
    assert.equal((await readDeployment(port, id)).error?.code, 'FORBIDDEN_LABEL')
    assert.equal((await installation.fetch('target.localhost')).body, 'steady')
  })
})
