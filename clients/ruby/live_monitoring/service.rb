# frozen_string_literal: true

require "json"
require "net/http"
require "time"
require "timeout"
require "uri"
require "zlib"

class LiveMonitoring
  VERSION = "0.1.0"

  # What an answer means. `fate`: settled (each item has its result), again (nothing was stored, send the same),
  # suspect (the same, but the items may be to blame, or their number), split (one of them is), refused (none will be taken),
  # moved (a redirect, which may be a proxy's for a moment; one that stays will take none).
  # `status` is set where the whole request was answered, `asked` are the seconds of Retry-After.
  Verdict = Struct.new(:fate, :results, :code, :message, :status, :asked, keyword_init: true) do
    def as_result
      {"status" => "invalid", "error" => {"code" => code, "message" => message}}
    end
  end

  # The service over Net::HTTP: one keep-alive connection, one deadline for a whole request, a bounded answer.
  class Service
    ANSWER_LIMIT = 1024 * 1024
    PACKED_FROM = 1024 # bytes
    AGAIN = [408, 425, 429, 500, 502, 503, 504].freeze
    STATUSES = %w[created updated duplicate conflict invalid].freeze
    LONGEST_ASKED = 300.0

    def initialize(url, key, timeout)
      @uri = URI.parse(url.to_s.strip)
      raise ArgumentError, "url must be an http or https address" unless @uri.is_a?(URI::HTTP) && @uri.host
      @key, @timeout = checked(key), timeout
    rescue URI::InvalidURIError
      raise ArgumentError, "url must be an http or https address"
    end

    # Sends a JSON array of `count` items, `sent` those of this process so far; never raises.
    def post(path, body, count, sent)
      judge(*exchange(posted(path, body, sent)), count: count)
    rescue Timeout::Error => error # their number may be to blame
      hang_up
      Verdict.new(fate: :suspect, code: "unreachable", message: "No answer (#{error.class}).")
    rescue StandardError => error # SocketError, OpenSSL, EOFError, Net::HTTPBadResponse ...
      hang_up
      Verdict.new(fate: :again, code: "unreachable", message: "No answer (#{error.class}).")
    end

    # What is there, as JSON; nil for every other answer, and for none. Never raises.
    def get(path)
      status, _, body = exchange(Net::HTTP::Get.new(@uri.path.chomp("/") + path, headers))
      status == 200 ? parse(body) : nil
    rescue StandardError, Timeout::Error
      hang_up
      nil
    end

    # After a fork, in the child: the connection is the parent's.
    def forget
      @http = nil
      @name = SecureRandom.hex(8) # whose count X-Items-Sent is
    end

    private

    # The key without the line break that a file or a secret store leaves at its end. What is wrong is said, and
    # nothing of the key.
    def checked(key)
      raise ArgumentError, "key is #{key.nil? ? "nil" : key.class}: is the variable set?" unless key.is_a?(String)

      key = key.b.strip
      raise ArgumentError, "key is empty: is the variable set that holds it?" if key.empty?

      odd = key.index(/[^!-~]/n)
      raise ArgumentError, "key has characters that no key has, the first at place #{odd + 1}" if odd

      key
    end

    def posted(path, body, sent)
      request = Net::HTTP::Post.new(@uri.path.chomp("/") + path, headers)
      request["X-Items-Sent"], request["X-Client-Id"] = sent.to_s, @name
      request["Content-Encoding"] = "gzip" if body.bytesize >= PACKED_FROM
      request.body = body.bytesize >= PACKED_FROM ? Zlib.gzip(body) : body
      request
    end

    # One request within @timeout as a whole, redirects not followed: status, Retry-After, body, Location.
    def exchange(request)
      Timeout.timeout(@timeout) do
        content = +""
        answer = connection.request(request) do |response|
          response.read_body do |part|
            content << part
            raise IOError, "too long an answer" if content.bytesize > ANSWER_LIMIT
          end
        end
        [answer.code.to_i, answer["Retry-After"], content, answer["Location"]]
      end
    end

    def headers
      {"Authorization" => "Bearer #{@key}", "Content-Type" => "application/json",
       "User-Agent" => "agent-live-monitoring-ruby/#{VERSION}"}
    end

    def connection
      @http ||= Net::HTTP.new(@uri.host, @uri.port).tap do |http|
        http.use_ssl = @uri.scheme == "https"
        http.open_timeout = http.read_timeout = http.write_timeout = @timeout
        http.keep_alive_timeout = 3 # servers close an idle connection, uvicorn after 5 s: ours is renewed before
        http.start
      end
    end

    def hang_up
      @http&.finish
    rescue StandardError
      nil # it was closed already
    ensure
      @http = nil
    end

    # Only what the service itself says settles anything: a proxy's page, half an answer mean "again".
    def judge(status, retry_after, body, location, count:)
      content = parse(body)
      results = status == 207 ? results_of(content, count) : nil
      return Verdict.new(fate: :settled, results: results) if results

      return moved(status, location) if (300..399).cover?(status)

      error = content["error"]
      error = nil unless error.is_a?(Hash) && error["code"]
      unsaid = AGAIN.include?(status) ? "unavailable" : "not_the_contract"
      Verdict.new(fate: fate(status, error), code: error ? error["code"] : unsaid, status: status,
                  message: error ? error["message"] : "Status #{status}.", asked: asked(retry_after))
    end

    # Where it leads, without what may be secret in it.
    def moved(status, location)
      target = location.to_s[/\A[^?#]{0,200}/]
      target = "nowhere" if target.empty?
      Verdict.new(fate: :moved, code: "redirected", status: status,
                  message: "Status #{status}: redirected to #{target}. Redirects are not followed: use that address.")
    end

    def fate(status, error)
      return :suspect if status == 500
      return :again if AGAIN.include?(status) || !error || !(400..499).cover?(status)

      [400, 413].include?(status) ? :split : :refused
    end

    def parse(body)
      content = JSON.parse(body)
      content.is_a?(Hash) ? content : {}
    rescue JSON::ParserError, EncodingError
      {}
    end

    def results_of(content, count)
      results = content["results"]
      return unless results.is_a?(Array) && results.size == count && results.all?(Hash)

      results = results.sort_by { |result| result["index"].to_i }
      results if results.each_with_index.all? { |one, at| one["index"] == at && STATUSES.include?(one["status"]) }
    end

    # Seconds that Retry-After asks for, as a number or a date, within reason; nil where it says nothing.
    def asked(value)
      seconds = Float(value.to_s, exception: false) || (Time.httpdate(value.to_s) - Time.now)
      seconds.clamp(0.0, LONGEST_ASKED)
    rescue ArgumentError
      nil
    end
  end
end
