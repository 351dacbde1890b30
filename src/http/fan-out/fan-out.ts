import {
  type DocumentNode,
  execute,
  type ExecutionArgs,
  getOperationAST,
  Kind,
  visit,
  type ASTNode,
} from 'graphql'
import { isShareable } from '../../engine/wakeups/pull-iterator.js'
import type { Logger } from '../../logger.js'
import { formatted } from '../../resolvers/errors.js'
import type { ClientConnection } from './client-connection.js'
import { type Reader, Topic } from './topic.js'
import { SubscriptionViewer } from './viewer.js'

/** What a viewer may see. All who have the token see all; who sees less will be of another kind, and share with its own. */
type Audience = 'admin'

export interface Subscription {
  /** As graphql-ws has it: unique among the subscriptions of a connection. */
  readonly id: string
  readonly connection: ClientConnection
  /** The document's text. */
  readonly query: string
  readonly args: ExecutionArgs
  readonly audience: Audience
}

/** The subscriptions of a process. Those that are to see the same of the same thing share what it takes to show it. */
export class FanOut {
  readonly #topics = new Map<string, Topic>()

  constructor(private readonly logger: Logger) {}

  /** Shows what `reader` reads: an iterator that gives nothing, and ends when the subscription does. */
  follow(reader: Reader, subscription: Subscription): SubscriptionViewer {
    return new SubscriptionViewer(this.#topicOf(reader, subscription), subscription, reader)
  }

  /** How many different things are shown. */
  topics(): number {
    return this.#topics.size
  }

  #topicOf(reader: Reader, { args, audience, query }: Subscription): Topic {
    const serialise = (entry: object) => messageEnd({ ...args, rootValue: entry }, this.logger)
    if (!isShareable(reader)) return new Topic(serialise)
    const variables = variablesOfSelection(args)
    const key = JSON.stringify([audience, reader.subject, query, args.operationName ?? null, variables])
    const topic = this.#topics.get(key) ?? new Topic(serialise, () => this.#topics.delete(key))
    this.#topics.set(key, topic)
    return topic
  }
}

/** A message from its payload on. Errors are formatted, and logged, once for all who get them. */
async function messageEnd(args: ExecutionArgs, logger: Logger): Promise<Buffer> {
  const { errors, ...result } = await execute(args)
  const payload = errors ? { ...result, errors: formatted(errors, logger) } : result
  return Buffer.from(`${JSON.stringify(payload)}}`)
}

/** Those that only the subscription's own field has, such as `after`, say what is read and from where, not what is seen. */
function variablesOfSelection({ document, operationName, variableValues }: ExecutionArgs): unknown {
  const [root] = getOperationAST(document, operationName)?.selectionSet.selections ?? []
  const uses = variablesIn(document)
  const ofRoot = root?.kind === Kind.FIELD ? (root.arguments ?? []).flatMap(variablesIn) : []
  const count = (names: readonly string[], name: string) => names.filter((one) => one === name).length
  const names = [...new Set(uses)].filter((name) => count(uses, name) > count(ofRoot, name)).sort()
  return names.map((name) => [name, variableValues?.[name]])
}

function variablesIn(node: DocumentNode | ASTNode): string[] {
  const names: string[] = []
  visit(node, {
    VariableDefinition: () => false,
    Variable: ({ name }) => void names.push(name.value),
  })
  return names
}
