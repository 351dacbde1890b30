import 'reflect-metadata'
import { assertValidSchema, type GraphQLSchema, lexicographicSortSchema, printSchema } from 'graphql'
import { buildSchema as build, getMetadataStorage } from 'type-graphql'
import { createLogger, type Logger } from '../logger.js'
import '../schema/enums.js'
import { DateTime } from '../schema/scalars.js'
import { AppResolver } from './app-resolver.js'
import { CommitStatusResolver, CommitStatusTargetResolver } from './commit-status-resolver.js'
import { ChangeResolver } from './change-resolver.js'
import { ConfigurationResolver } from './configuration-resolver.js'
import { DeploymentResolver } from './deployment-resolver.js'
import { translateErrors } from './errors.js'
import { LogResolver, RuntimeLogEventResolver } from './log-resolver.js'
import { NodeResolver } from './node-resolver.js'
import { RepositoryCredentialResolver } from './repository-credential-resolver.js'
import { ServerInfoResolver } from './server-info-resolver.js'
import { StageResolver } from './stage-resolver.js'
import { AppWebhookResolver, WebhookDeliveryResolver, WebhookResolver } from './webhook-resolver.js'

/** The API as one executable schema. */
export async function buildSchema(logger: Logger): Promise<GraphQLSchema> {
  // Fields that are read from an object need no resolver: one around each of them costs as much as the rest.
  for (const type of getMetadataStorage().objectTypes) type.simpleResolvers = true
  const schema = await build({
    resolvers: [
      AppResolver,
      StageResolver,
      DeploymentResolver,
      ConfigurationResolver,
      LogResolver,
      RuntimeLogEventResolver,
      WebhookResolver,
      AppWebhookResolver,
      WebhookDeliveryResolver,
      CommitStatusResolver,
      CommitStatusTargetResolver,
      RepositoryCredentialResolver,
      NodeResolver,
      ChangeResolver,
      ServerInfoResolver,
    ],
    scalarsMap: [{ type: Date, scalar: DateTime }],
    // Grammars are the engine's (names.ts), the same for GraphQL and REST.
    validate: false,
    // It would run an introspection query at each start, 0.1 s of processor: `npm run check` does it once.
    skipCheck: true,
    pubSub: NO_PUB_SUB,
  })
  translateErrors(schema, logger)
  return schema
}

/** What `schema.graphql` holds; sorted, so that a diff shows what has changed and nothing else. */
export async function printedSchema(): Promise<string> {
  const schema = await buildSchema(createLogger('error'))
  assertValidSchema(schema)
  return textOf(schema)
}

/** A schema as text, in the order of its names. */
export function textOf(schema: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`
}

/** Asked for by the library, used by nothing: events that carry data lose some and pile up for a slow reader. */
const NO_PUB_SUB = {
  publish: () => {
    throw new Error('subscriptions read from the database')
  },
  subscribe: () => {
    throw new Error('subscriptions read from the database')
  },
}
