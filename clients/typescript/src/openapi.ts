// Made by `npm run types` from the service's OpenAPI document. Do not edit.
/* eslint-disable */

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description A review of a run, which may come before its run. A later one of the same reviewer replaces it. Without a `reviewer` the `review_id` is required. */
        AgentReview: {
            /** @description A text: masked, cleaned, and cut after 2000 characters; a secret is refused. */
            notes?: string | null;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            org_id?: string | number | null;
            quality_score: number;
            /** @description Kept as sent. A whole number is taken as text. */
            review_id?: string | number | null;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            reviewer?: string | number | null;
            rubric?: {
                [key: string]: number;
            } | null;
            /** Format: uuid */
            run_id: string;
        };
        /** @description One run, whole or at its start. The same `run_id` again completes it: then `run_id` alone is required, what is known may be repeated, and what differs is a `conflict`. A run that is new needs `agent_name`, `input_kind` and `started_at`, and `resolution` once it has `ended_at`. */
        AgentRun: {
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            agent_name?: string | number | null;
            /** @description A name of at most 200 characters, masked; a longer one, and a secret, is refused. */
            agent_version?: string | null;
            /** @description A name of at most 200 characters, masked; a longer one, and a secret, is refused. */
            channel?: string | null;
            confidence?: number | null;
            /** @description US dollars, as a number or its digits; more than 5 places are rounded, half to even. */
            cost_usd?: number | string | null;
            /**
             * Format: date-time
             * @description Not before `started_at`; then `resolution` is needed too.
             */
            ended_at?: string | null;
            handoff_expected?: boolean | null;
            human_touched?: boolean | null;
            /** @description A name of at most 200 characters, masked; a longer one, and a secret, is refused. */
            input_kind?: string | null;
            message_cap?: number | null;
            message_count?: number | null;
            /** @description At most 8 KiB of JSON, 8 deep; a secret is refused. Later posts of the same run add entries. */
            metadata?: Record<string, never> | null;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            org_id?: string | number | null;
            resolution?: ("escalated" | "failed" | "resolved") | null;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            room_id?: string | number | null;
            /** Format: uuid */
            run_id: string;
            self_corrected?: boolean | null;
            sla_target_seconds?: number | null;
            /** Format: date-time */
            started_at?: string | null;
            surface?: ("chatbot" | "chatwoot" | "runbook" | "shopify_admin") | null;
            tokens_input?: number | null;
            tokens_output?: number | null;
        };
        ErrorInfo: {
            /** @description A text: masked, cleaned, and cut after 2000 characters; it never costs the item. */
            message?: string | null;
            /** @description A text: masked, cleaned, and cut after 200 characters; it never costs the item. */
            type: string;
        };
        /** @description One report of a signal. What each signal needs is in `allOf`. */
        FailureEvent: {
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            agent_name: string | number;
            /** @description A text: masked, cleaned, and cut after 200 characters; it never costs the item. */
            agent_version?: string | null;
            /** @description A text: masked, cleaned, and cut after 200 characters; it never costs the item. */
            channel?: string | null;
            confidence?: number | null;
            /** Format: date-time */
            customer_waiting_since?: string | null;
            error?: components["schemas"]["ErrorInfo"] | null;
            /** @description Kept as sent. A whole number is taken as text. */
            event_id: string | number;
            handoff?: components["schemas"]["Handoff"] | null;
            /** @description A text: masked, cleaned, and cut after 2000 characters; it never costs the item. */
            last_customer_text?: string | null;
            message_cap?: number | null;
            message_count?: number | null;
            /** @description At most 8 KiB of JSON are kept; a secret is replaced. */
            metadata?: Record<string, never> | null;
            /** Format: date-time */
            occurred_at: string;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            org_id?: string | number | null;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            room_id: string | number;
            /** @description A text: masked, cleaned, and cut after 200 characters; it never costs the item. */
            room_label?: string | null;
            /** @description Left out if it is longer than 2000 characters or holds personal data. */
            room_url?: string | null;
            /** Format: uuid */
            run_id?: string | null;
            /** @enum {unknown} */
            signal: "agent_error" | "help_requested" | "low_confidence" | "message_cap" | "unexpected_handoff";
            threshold?: number | null;
        };
        Handoff: {
            completed: boolean;
            /** @description A text: masked, cleaned, and cut after 2000 characters; it never costs the item. */
            reason?: string | null;
            /** @description A text: masked, cleaned, and cut after 200 characters; it never costs the item. */
            source?: string | null;
            /** @description A text: masked, cleaned, and cut after 200 characters; it never costs the item. */
            target?: string | null;
        };
        /** @description One room activity as sent. */
        RoomActivity: {
            /** @description Kept as sent. A whole number is taken as text. */
            activity_id: string | number;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            actor_external_id?: string | number | null;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            actor_sso_id?: string | number | null;
            /** Format: date-time */
            at: string;
            /** @enum {unknown} */
            kind: "assigned" | "bot_message" | "customer_message" | "human_message" | "human_opened" | "resolved" | "returned_to_agent";
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            org_id?: string | number | null;
            /** @description Blanks around it are dropped, a UUID is lower case, hidden characters are refused. A whole number is taken as text. */
            room_id: string | number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
