import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createApp, followLog, graphql, readDeployment, readEvents } from '../support/client.js'
import { DockerProxy } from '../support/docker-proxy.js'
import { slowStep, TestRepository, webApp } from '../support/repository.js'
import { Installation, until } from '../support/server.js'

const ENV = { POLL_SECONDS: '1' }

async function dockerHealth(port: number): Promise<string> {
  const health = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as {
    docker: { status: string }
  }
  return health.docker.status
}

test('without a Docker engine a deployment waits, says why, and starts by itself when it is back', async () => {
  await using docker = new DockerProxy()
  await using installation = await Installation.create()
  const { port } = installation
  await installation.start({ ...ENV, DOCKER_HOST: docker.host })
  using repository = new TestRepository(webApp('patient'))
  const { appId, deploymentId } = await createApp(port, { name: 'patient', repoUrl: repository.url })
  const [waiting] = await followLog(port, deploymentId, 0, (events) => events.length === 1)
  assert.match(waiting?.text ?? '', /^Waiting: the Docker engine does not answer/)
  assert.equal((await readDeployment(port, deploymentId)).status, 'PENDING')
  assert.equal(await dockerHealth(port), 'down')

  await docker.up()
  const events = await followLog(port, deploymentId)
  assert.equal(events.at(-1)?.end?.status, 'RUNNING')
  assert.equal(events.filter((event) => event.text.startsWith('Waiting:')).length, 1, 'it is said once')
  await until(async () => (await dockerHealth(port)) === 'ok')
  await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
})

test('a Docker engine that hangs counts as one that is away', async () => {
  await using docker = new DockerProxy()
  await docker.up()
  docker.hang()
  await using installation = await Installation.create()
  const { port } = installation
  await installation.start({ ...ENV, DOCKER_HOST: docker.host })
  using repository = new TestRepository(webApp('patient'))
  const { deploymentId } = await createApp(port, { name: 'hanging', repoUrl: repository.url })
  const [waiting] = await followLog(port, deploymentId, 0, (events) => events.length === 1)
  assert.match(waiting?.text ?? '', /did not answer within 3000 ms/)
})

test('an engine that breaks off in the middle of a build: the deployment is tried again and runs', async () => {
  await using docker = new DockerProxy()
  await docker.up()
  await using installation = await Installation.create()
  const { port } = installation
  await installation.start({ ...ENV, DOCKER_HOST: docker.host })
  using repository = new TestRepository(webApp('again', [slowStep(3)]))
  const { appId, deploymentId } = await createApp(port, { name: 'broken-off', repoUrl: repository.url })
  await followLog(port, deploymentId, 0, (events) =>
    events.some((event) => event.text.includes('step one\n')),
  )
  await docker.down()
  await until(async () => (await readDeployment(port, deploymentId)).status === 'PENDING')
  await docker.up()
  const events = await followLog(port, deploymentId)
  assert.equal(events.at(-1)?.end?.status, 'RUNNING', events.map((event) => event.text).join(''))
  const changes = await readEvents(port, deploymentId)
  const back = changes.findIndex((change) => change.startsWith('BUILDING > PENDING: '))
  assert.match(changes[back] ?? '', /Docker engine/, changes.join())
  assert.equal(changes[back + 1], 'PENDING > CLONING: attempt 2')
  await graphql(port, 'mutation ($id: ID!) { deleteApp(id: $id) }', { id: appId })
})
