//! Semantic tokens as LSP has them: numbers relative to the token before, on one line each, whole or as what changed since the
//! last answer.

use super::position::{Encoding, position};
use super::server::Server;
use codchi_ide::{SemanticToken, TokenKind, TokenModifiers};
use codchi_module::{Document, TextRange, TextSize};
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types as lsp;

/// Of a longer text only ranges are answered: all of it would be as large as the text itself.
const LONGEST: usize = 4 << 20;

/// An answer and its id.
type Answer = (String, Arc<[lsp::SemanticToken]>);

/// The answers that clients may ask changes to: the last one of each open text.
#[derive(Default)]
pub(crate) struct Told {
    last: DashMap<lsp::Url, Answer>,
    count: AtomicU64,
}

impl Told {
    /// The text is closed.
    pub(crate) fn forget(&self, uri: &lsp::Url) {
        self.last.remove(uri);
    }

    /// Keeps an answer; gives its id and the answer before it.
    fn keep(&self, uri: lsp::Url, tokens: Arc<[lsp::SemanticToken]>) -> (String, Option<Answer>) {
        let id = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        let before = self.last.insert(uri, (id.clone(), tokens));
        (id, before)
    }
}

/// `textDocument/semanticTokens/full`.
pub(super) async fn full(
    server: &Server,
    params: lsp::SemanticTokensParams,
) -> Result<Option<lsp::SemanticTokensResult>> {
    let uri = params.text_document.uri;
    let Some(tokens) = all(server, &uri).await? else { return Ok(None) };
    let (id, _) = server.shared().told.keep(uri, tokens.clone());
    Ok(Some(whole(id, &tokens).into()))
}

/// `textDocument/semanticTokens/full/delta`.
pub(super) async fn delta(
    server: &Server,
    params: lsp::SemanticTokensDeltaParams,
) -> Result<Option<lsp::SemanticTokensFullDeltaResult>> {
    let uri = params.text_document.uri;
    let Some(tokens) = all(server, &uri).await? else { return Ok(None) };
    let (id, before) = server.shared().told.keep(uri, tokens.clone());
    Ok(Some(match before {
        Some((known, before)) if known == params.previous_result_id => {
            let edits = change(&before, &tokens).into_iter().collect();
            lsp::SemanticTokensDelta { result_id: Some(id), edits }.into()
        }
        _ => whole(id, &tokens).into(),
    }))
}

/// `textDocument/semanticTokens/range`.
pub(super) async fn range(
    server: &Server,
    params: lsp::SemanticTokensRangeParams,
) -> Result<Option<lsp::SemanticTokensRangeResult>> {
    let range = params.range;
    let data = server
        .ask(&params.text_document.uri, move |question| {
            let within = Some(question.text_range(range));
            let found = question.analysis.semantic_tokens(question.path, within);
            encode(question.document, &found, question.converter.encoding)
        })
        .await?;
    Ok(data.map(|data| lsp::SemanticTokens { result_id: None, data }.into()))
}

fn whole(id: String, tokens: &[lsp::SemanticToken]) -> lsp::SemanticTokens {
    lsp::SemanticTokens { result_id: Some(id), data: tokens.to_vec() }
}

async fn all(server: &Server, uri: &lsp::Url) -> Result<Option<Arc<[lsp::SemanticToken]>>> {
    let tokens = server
        .ask(uri, |question| {
            if question.document.text().len() > LONGEST {
                return None;
            }
            let found = question.analysis.semantic_tokens(question.path, None);
            Some(encode(question.document, &found, question.converter.encoding).into())
        })
        .await?;
    Ok(tokens.flatten())
}

/// What changed, as one edit: an edit of a text changes the tokens around it only, as each is relative to the one before.
fn change(before: &[lsp::SemanticToken], now: &[lsp::SemanticToken]) -> Option<lsp::SemanticTokensEdit> {
    let start = before.iter().zip(now).take_while(|(a, b)| a == b).count();
    let (before, now) = (before.get(start..)?, now.get(start..)?);
    let end = before.iter().rev().zip(now.iter().rev()).take_while(|(a, b)| a == b).count();
    let (deleted, inserted) = (before.len() - end, now.get(..now.len() - end)?);
    if deleted == 0 && inserted.is_empty() {
        return None;
    }
    // In numbers, of which a token has five.
    let numbers = |tokens: usize| u32::try_from(5 * tokens).unwrap_or(u32::MAX);
    Some(lsp::SemanticTokensEdit {
        start: numbers(start),
        delete_count: numbers(deleted),
        data: (!inserted.is_empty()).then(|| inserted.to_vec()),
    })
}

fn encode(document: &Document, tokens: &[SemanticToken], encoding: Encoding) -> Vec<lsp::SemanticToken> {
    let mut data = Vec::with_capacity(tokens.len());
    let mut last = lsp::Position::default();
    for token in tokens {
        for (start, length) in lines(document, token.range, encoding) {
            let delta_line = start.line - last.line;
            let before = if delta_line == 0 { last.character } else { 0 };
            data.push(lsp::SemanticToken {
                delta_line,
                delta_start: start.character - before,
                length,
                token_type: kind_number(token.kind),
                token_modifiers_bitset: token.modifiers.bits(),
            });
            last = start;
        }
    }
    data
}

/// The parts of a range on each of its lines, without the line's end: where each begins and how long it is.
fn lines(document: &Document, range: TextRange, encoding: Encoding) -> Vec<(lsp::Position, u32)> {
    let mut parts = Vec::new();
    let text = document.text().get(usize::from(range.start())..usize::from(range.end())).unwrap_or_default();
    let mut offset = range.start();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let length = match encoding {
            Encoding::Utf8 => content.len(),
            Encoding::Utf16 => content.encode_utf16().count(),
            Encoding::Utf32 => content.chars().count(),
        };
        if length > 0 {
            let start = position(document.lines(), offset, encoding);
            parts.push((start, u32::try_from(length).unwrap_or(u32::MAX)));
        }
        offset += TextSize::of(line);
    }
    parts
}

fn kind_number(kind: TokenKind) -> u32 {
    TokenKind::ALL.iter().position(|it| *it == kind).and_then(|at| u32::try_from(at).ok()).unwrap_or_default()
}

/// What the client is told of them.
pub(super) fn announce(capabilities: &mut lsp::ServerCapabilities) {
    let token_types = TokenKind::ALL.map(|kind| match kind {
        TokenKind::Namespace => lsp::SemanticTokenType::NAMESPACE,
        TokenKind::Type => lsp::SemanticTokenType::TYPE,
        TokenKind::Class => lsp::SemanticTokenType::CLASS,
        TokenKind::EnumMember => lsp::SemanticTokenType::ENUM_MEMBER,
        TokenKind::Parameter => lsp::SemanticTokenType::PARAMETER,
        TokenKind::Variable => lsp::SemanticTokenType::VARIABLE,
        TokenKind::Property => lsp::SemanticTokenType::PROPERTY,
        TokenKind::Function => lsp::SemanticTokenType::FUNCTION,
        TokenKind::Macro => lsp::SemanticTokenType::MACRO,
        TokenKind::String => lsp::SemanticTokenType::STRING,
    });
    let mut token_modifiers = [
        (TokenModifiers::DECLARATION, lsp::SemanticTokenModifier::DECLARATION),
        (TokenModifiers::READONLY, lsp::SemanticTokenModifier::READONLY),
        (TokenModifiers::DEPRECATED, lsp::SemanticTokenModifier::DEPRECATED),
        (TokenModifiers::DEFAULT_LIBRARY, lsp::SemanticTokenModifier::DEFAULT_LIBRARY),
    ];
    // The name at each place is that of the bit of the same number.
    token_modifiers.sort_by_key(|(modifier, _)| modifier.bits());
    let options = lsp::SemanticTokensOptions {
        legend: lsp::SemanticTokensLegend {
            token_types: token_types.into(),
            token_modifiers: token_modifiers.into_iter().map(|(_, name)| name).collect(),
        },
        range: Some(true),
        full: Some(lsp::SemanticTokensFullOptions::Delta { delta: Some(true) }),
        ..lsp::SemanticTokensOptions::default()
    };
    capabilities.semantic_tokens_provider = Some(options.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(document: &Document, what: &str, kind: TokenKind) -> SemanticToken {
        let start = TextSize::try_from(document.text().find(what).unwrap()).unwrap();
        let range = TextRange::at(start, TextSize::of(what));
        SemanticToken { range, kind, modifiers: TokenModifiers::DECLARATION }
    }

    fn numbers(tokens: &[lsp::SemanticToken]) -> Vec<[u32; 3]> {
        tokens.iter().map(|it| [it.delta_line, it.delta_start, it.length]).collect()
    }

    #[test]
    fn tokens_are_relative_and_counted_in_the_clients_unit() {
        let document = Document::new("# 𝄞\n{ \"𝄞é\" = b; }");
        let tokens =
            [token(&document, "\"𝄞é\"", TokenKind::Property), token(&document, "b", TokenKind::Variable)];
        assert_eq!(numbers(&encode(&document, &tokens, Encoding::Utf16)), [[1, 2, 5], [0, 8, 1]]);
        assert_eq!(numbers(&encode(&document, &tokens, Encoding::Utf8)), [[1, 2, 8], [0, 11, 1]]);
    }

    #[test]
    fn a_token_of_several_lines_is_split_at_their_ends() {
        let document = Document::new("{ \"ab\r\n\ncd\" = 1; }");
        let tokens = [token(&document, "\"ab\r\n\ncd\"", TokenKind::Property)];
        assert_eq!(numbers(&encode(&document, &tokens, Encoding::Utf16)), [[0, 2, 3], [2, 0, 3]]);
    }

    #[test]
    fn a_change_is_what_is_between_the_same_beginning_and_the_same_end() {
        let tokens: Vec<_> =
            (1..6).map(|n| lsp::SemanticToken { delta_start: n, length: 1, ..zero() }).collect();
        let mut now = tokens.clone();
        now.splice(1..3, [lsp::SemanticToken { length: 9, ..zero() }]);
        let edit = change(&tokens, &now).unwrap();
        assert_eq!((edit.start, edit.delete_count, edit.data.unwrap().len()), (5, 10, 1));
        assert_eq!(change(&tokens, &tokens), None);
        // The same token many times over: beginning and end must not meet.
        let same = vec![tokens[0]; 3];
        let edit = change(&same, &same[..2]).unwrap();
        assert_eq!((edit.start, edit.delete_count, edit.data), (10, 5, None));
    }

    fn zero() -> lsp::SemanticToken {
        lsp::SemanticToken {
            delta_line: 0,
            delta_start: 0,
            length: 0,
            token_type: 0,
            token_modifiers_bitset: 0,
        }
    }
}
