# frozen_string_literal: true

require "date"
require "json"
require "time"

class LiveMonitoring
  # An alarm is worth more than its prose: texts are made fit for the service, and what is not prose is left as it is.
  module Prose
    TEXTS = { # characters that the service keeps
      "room_label" => 200, "last_customer_text" => 2000,
      "error.type" => 200, "error.message" => 2000, "handoff.reason" => 2000,
      "handoff.source" => 200, "handoff.target" => 200
    }.freeze
    NAMES = %w[event_id activity_id org_id agent_name agent_version room_id run_id channel
               actor_sso_id actor_external_id review_id reviewer].freeze
    METADATA = 8 * 1024 # bytes of its JSON
    DEPTH = 24 # of what is nested in metadata; the service takes 32 of a whole request
    UNREADABLE = "\ufffd"

    module_function

    # The fields as plain JSON values, without those that are nil: texts cut and cleaned, whole numbers as text where a
    # name belongs. What was changed for that is named in metadata.truncated, where the caller's own leaves room.
    def fit(fields)
      changed = []
      item = fields.transform_keys(&:to_s).compact.to_h { |name, value| [name, fitted(name, value, changed)] }
      metadata = item.fetch("metadata", {})
      return item if changed.empty? || !metadata.is_a?(Hash)

      marked = {"truncated" => changed.uniq}.merge(metadata)
      size(marked) <= METADATA ? item.merge("metadata" => marked) : item
    end

    # Times and numbers as the contract wants them, whatever Rails has made of their to_json.
    def plain(value)
      case value
      when Hash then value.to_h { |name, inner| [name.to_s, plain(inner)] }
      when Array then value.map { |inner| plain(inner) }
      when Time, DateTime then value.iso8601(6)
      when Integer, Float, String, true, false, nil then value
      when Numeric then value.to_f
      else value.to_s
      end
    end

    def fitted(name, value, changed)
      return metadata(value, changed) if name == "metadata"

      value = plain(value)
      return value.to_s if NAMES.include?(name) && value.is_a?(Integer)
      return text(name, value, changed) if TEXTS.key?(name)
      return value unless value.is_a?(Hash)

      value.to_h do |inner, one|
        path = "#{name}.#{inner}"
        [inner, TEXTS.key?(path) && !one.nil? ? text(path, one, changed) : one]
      end
    end

    def text(name, value, changed)
      made = clean(value.to_s, name, changed)
      return made if made.length <= TEXTS[name]

      changed << name
      "#{made[0, TEXTS[name] - 1]}…"
    end

    # What is no object, cannot be said in JSON, or is too deep or too large is left out whole.
    def metadata(value, changed)
      made = clean_within(plain(value), changed)
      return made if made.is_a?(Hash) && size(made) <= METADATA

      left_out(changed)
    rescue StandardError, SystemStackError # theirs, and no reason to lose the alarm
      left_out(changed)
    end

    def left_out(changed)
      changed << "metadata"
      {}
    end

    def clean_within(value, changed)
      case value
      when Hash then value.to_h { |name, inner| [clean(name, "metadata", changed), clean_within(inner, changed)] }
      when Array then value.map { |inner| clean_within(inner, changed) }
      when String then clean(value, "metadata", changed)
      else value
      end
    end

    # In UTF-8; what cannot be read as that, and a NUL, are shown as unreadable.
    def clean(value, name, changed)
      made = in_utf8(value).scrub(UNREADABLE).tr("\u0000", UNREADABLE)
      changed << name if made != value && made.include?(UNREADABLE)
      made
    end

    def in_utf8(value)
      return value.dup.force_encoding(Encoding::UTF_8) if value.encoding == Encoding::BINARY

      value.encode(Encoding::UTF_8, invalid: :replace, undef: :replace, replace: UNREADABLE)
    rescue EncodingError # one that Ruby only knows by name
      value.dup.force_encoding(Encoding::UTF_8)
    end

    def size(metadata)
      JSON.generate(metadata, max_nesting: DEPTH).bytesize
    end
  end
  private_constant :Prose
end
