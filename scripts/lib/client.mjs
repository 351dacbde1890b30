import { request } from 'node:http'

/** A client of a running Longshore: queries and mutations by POST, logs over a WebSocket. */
export class LongshoreClient {
  constructor(port, token) {
    this.address = `127.0.0.1:${port}`
    this.authorization = `Bearer ${token}`
  }

  /** @throws Error with the server's message */
  async ask(query, variables = {}) {
    const response = await fetch(`http://${this.address}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: this.authorization },
      body: JSON.stringify({ query, variables }),
    })
    const { data, errors } = await response.json()
    if (errors) throw new Error(errors[0].message)
    return data
  }

  /** Deploys `repoUrl` under `name`, which is made when there is no such app. Gives the deployment's id. */
  async deploy(name, repoUrl) {
    const { app } = await this.ask('query ($name: String!) { app(name: $name) { id } }', { name })
    if (app) {
      await this.ask(
        'mutation ($id: ID!, $url: String!) { updateApp(id: $id, input: { repoUrl: $url }) { id } }',
        {
          id: app.id,
          url: repoUrl,
        },
      )
      return (await this.ask('mutation ($id: ID!) { deploy(appId: $id) { id } }', { id: app.id })).deploy.id
    }
    const { createApp } = await this.ask(
      `mutation ($name: String!, $repoUrl: String!) {
        createApp(input: { name: $name, repoUrl: $repoUrl }) { deployments(first: 1) { nodes { id } } }
      }`,
      { name, repoUrl },
    )
    return createApp.deployments.nodes[0].id
  }

  /** Writes a deployment's log as it comes; gives its last status. */
  async followLog(deploymentId, write) {
    const [{ createClient }, { WebSocket }] = await Promise.all([import('graphql-ws'), import('ws')])
    const client = createClient({
      url: `ws://${this.address}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: this.authorization },
    })
    const query = `subscription ($id: ID!) { deploymentLogs(deploymentId: $id) { text end { status } } }`
    try {
      for await (const { data, errors } of client.iterate({ query, variables: { id: deploymentId } })) {
        if (errors) throw new Error(errors[0].message)
        write(data.deploymentLogs.text)
        if (data.deploymentLogs.end) return data.deploymentLogs.end.status
      }
      throw new Error('the log ended without saying how')
    } finally {
      await client.dispose()
    }
  }
}

/** GET / of a host behind the built-in router. */
export function fetchHost(port, host) {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, headers: { host } }, (answer) => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text) => (body += text))
      answer.on('end', () => resolve({ status: answer.statusCode, body }))
    })
    call.on('error', reject).end()
  })
}
