import { graphql } from './client.js'
import type { Delivery } from './forges.js'

export interface Answer {
  readonly status: number
  readonly text: string
  readonly json: {
    readonly delivery?: string
    readonly verdict?: string
    readonly reason?: string
    readonly deployments?: readonly string[]
    readonly error?: { readonly code: string }
  }
}

/** An app with a webhook, and what a test asks about it. */
export class HookedApp {
  private constructor(
    private readonly port: number,
    readonly id: string,
    readonly url: string,
    readonly secret: string,
  ) {}

  static async create(
    port: number,
    name: string,
    input: Readonly<Record<string, unknown>> = {},
  ): Promise<HookedApp> {
    const repoUrl = 'https://git.invalid/team/shop.git'
    const { createApp } = await graphql<{ createApp: { id: string } }>(
      port,
      'mutation ($input: CreateAppInput!) { createApp(input: $input) { id } }',
      { input: { name, repoUrl, deploy: false, ...input } },
    )
    const { url, secret } = await rotate(port, createApp.id)
    return new HookedApp(port, createApp.id, url, secret)
  }

  /** A stage beside production. */
  async stage(name: string, branch: string | null = null): Promise<string> {
    const query =
      'mutation ($appId: ID!, $name: String!, $branch: String) { createStage(appId: $appId, name: $name, branch: $branch) { id } }'
    const variables = { appId: this.id, name, branch }
    return (await graphql<{ createStage: { id: string } }>(this.port, query, variables)).createStage.id
  }

  send({ headers, body }: Delivery): Promise<Answer> {
    return send(this.port, this.id, headers, body)
  }

  /** Newest first. */
  async log(): Promise<LogEntry[]> {
    const query = `query ($id: ID!) { app(id: $id) { webhook { deliveries(first: 100) { nodes {
      id forge event verdict reason ref commitSha redeliveryOf decisions { ref stage reason } deployments { id }
    } } } } }`
    const found = await graphql<{ app: { webhook: { deliveries: { nodes: LogEntry[] } } } }>(
      this.port,
      query,
      {
        id: this.id,
      },
    )
    return found.app.webhook.deliveries.nodes
  }

  /** Newest first, as `stage@ref commit`. */
  async deployments(): Promise<string[]> {
    const query = `query ($id: ID!) { app(id: $id) { deployments(first: 100) { totalCount
      nodes { trigger ref commitSha stage { name } } } } }`
    interface Found {
      app: {
        deployments: {
          nodes: { trigger: string; ref: string; commitSha: string; stage: { name: string } }[]
        }
      }
    }
    const { app } = await graphql<Found>(this.port, query, { id: this.id })
    return app.deployments.nodes.map(({ ref, commitSha, stage }) => `${stage.name}@${ref} ${commitSha}`)
  }
}

export interface LogEntry {
  readonly id: string
  readonly forge: string
  readonly event: string
  readonly verdict: string
  readonly reason: string
  readonly ref: string | null
  readonly commitSha: string | null
  readonly redeliveryOf: string | null
  readonly decisions: { ref: string; stage: string; reason: string }[]
  readonly deployments: { id: string }[]
}

export async function rotate(port: number, appId: string): Promise<{ url: string; secret: string }> {
  const query = 'mutation ($id: ID!) { rotateWebhookSecret(appId: $id) { url secret } }'
  const found = await graphql<{ rotateWebhookSecret: { url: string; secret: string } }>(port, query, {
    id: appId,
  })
  return found.rotateWebhookSecret
}

export async function send(
  port: number,
  appId: string,
  headers: Readonly<Record<string, string>>,
  body: string | Buffer,
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}/hooks/${appId}`, { method: 'POST', headers, body })
  const text = await response.text()
  return { status: response.status, text, json: JSON.parse(text) as Answer['json'] }
}
